import { describe, expect, it } from "vitest";
import { newMember } from "../../../coordinator/core/initial-state.ts";
import { noteDelivered, sharesOf, updateSpeeds } from "../../../coordinator/core/speed.ts";
import type { Member, Work } from "../../../coordinator/core/state.ts";
import { stepNumber, workerId } from "../../../shared/ids.ts";
import { planRanges } from "../../../shared/gradient/plan.ts";
import { JoinToken } from "../../../shared/protocol/handshake.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";

const member = (threads = 1): Member => {
  const connected = { type: "connected", worker: workerId("a"), nonce: "", token: JoinToken.none } as const;
  return {
    ...newMember({ ...connected, isLocal: false, isOwn: false }, stepNumber(0), 0),
    threads,
    phase: "ready",
    isCold: false,
  };
};

const work = (kind: "train" | "evaluate"): Work => ({
  name: { kind, step: stepNumber(0) },
  epoch: 0,
  offset: 0,
  samples: 80,
  shards: 8,
  openedAt: 0,
  disturbed: false,
  trusting: false,
  pieces: new Map(),
  unsettled: new Set(),
  left: 0,
});

/** Lets each member compute 4 of 8 shards in so many milliseconds, again and again. */
function steps(count: number, members: readonly Member[], milliseconds: readonly number[]): void {
  for (let step = 0; step < count; step++) {
    members.forEach((each, index) => {
      noteDelivered(each, 4, 1000 * milliseconds[index]!);
    });
    updateSpeeds(members, work("train"), 0);
  }
}

it("is not learnt from a sum that came without its time", () => {
  const run = new CoordinatorTrace();
  run.join("a");
  const { effort } = [...run.state.members.values()][0]!;
  run.assembled("a", "0-4", "train 0", true, 0);
  expect(effort).toEqual({ shards: 0, microseconds: 0 });
});

/** How many of the 8 shards of a step each member is given. */
const shares = (members: readonly Member[], now = 0): number[] =>
  sharesOf(members, work("train"), now).map(({ start, end }) => end - start);

describe("shares of the shards", () => {
  it("follow threads until speeds are known, and while they are about even", () => {
    const members = [member(1), member(3)];
    expect(shares(members)).toEqual([2, 6]);
    steps(100, members, [30, 11]);
    expect(shares(members)).toEqual([2, 6]);
  });

  it("follow measured speed: a worker at half speed gets half the shards", () => {
    const members = [member(), member()];
    steps(1, members, [1000, 2000]);
    expect(members.map(({ speed }) => speed)).toEqual([0.04, 0.02]);
    expect(shares(members)).toEqual([5, 3]);
  });

  it("are even until all have computed for a second, so that no hiccup in the first steps decides", () => {
    const members = [member(), member()];
    steps(1, members, [1, 100]);
    expect(shares(members)).toEqual([4, 4]);
    steps(1_200, members, [1, 1]);
    expect(shares(members)).toEqual([4, 4]);
    const uneven = [member(), member()];
    steps(999, uneven, [1, 3]);
    expect(shares(uneven)).toEqual([4, 4]);
    steps(1, uneven, [1, 3]);
    expect(uneven[0]!.speed! / uneven[1]!.speed!).toBeCloseTo(3, 10);
    expect(shares(uneven)).toEqual([6, 2]);
  });

  it("do not follow a worker's first step, in which it builds its programs", () => {
    const members = [member(), { ...member(), isCold: true }];
    steps(1, members, [1000, 100_000]);
    expect(shares(members)).toEqual([4, 4]);
    steps(1, members, [1000, 1000]);
    expect(shares(members)).toEqual([4, 4]);
    steps(1, members, [1000, 60_000]);
    expect(members[1]!.speed).toBeLessThan(members[0]!.speed!);
  });

  it("are not moved by one hiccup, but by a machine that becomes slow", () => {
    const members = [member(), member()];
    steps(20, members, [1000, 1000]);
    steps(1, members, [1000, 10_000]);
    expect(shares(members)).toEqual([4, 4]);
    steps(60, members, [1000, 3000]);
    expect(members[0]!.speed! / members[1]!.speed!).toBeGreaterThan(2);
    expect(shares(members)).toEqual([6, 2]);
  });

  it("are even where those by speed are several partials each and steps are so short that these take longer", () => {
    const [short, long] = [
      [member(), member()],
      [member(), member()],
    ];
    // Computing 4 shards, or 5 and 3 of them, would take 0.36 or 0.27 ms; each partial takes 0.2 ms more.
    steps(7_000, short, [0.18, 0.36]);
    expect(shares(short)).toEqual([4, 4]);
    steps(70, long, [18, 36]);
    expect(shares(long)).toEqual([5, 3]);
  });

  it("are even where a worker is so little slower that shares by speed gain next to nothing", () => {
    const members = [member(), member()];
    steps(100, members, [100, 135]);
    expect(planRanges(8, [135, 100])).toEqual([
      { start: 0, end: 5 },
      { start: 5, end: 8 },
    ]);
    expect(shares(members)).toEqual([4, 4]);
    const others = [member(), member()];
    steps(100, others, [100, 150]);
    expect(shares(others)).toEqual([5, 3]);
  });

  it("are not moved by what disturbs a worker for some short steps, but by what stays for a second", () => {
    const members = [member(), member()];
    steps(2_000, members, [1, 1]);
    steps(32, members, [1, 5]);
    expect(shares(members)).toEqual([4, 4]);
    steps(1_000, members, [1, 5]);
    expect(shares(members)).toEqual([7, 1]);
  });

  it("ignore evaluations and workers that stood by", () => {
    const members = [member(), member()];
    noteDelivered(members[0]!, 4, 2_000_000);
    updateSpeeds(members, work("evaluate"), 0);
    expect(members.map(({ speed }) => speed)).toEqual([undefined, undefined]);
    expect(members[0]!.effort).toEqual({ shards: 0, microseconds: 0 });
  });

  it("are tried again by a worker that earned none, and follow what it is then", () => {
    const members = [member(), member(), member()];
    steps(1, members, [1000, 1000, 100_000]);
    const stepAt = (now: number, third: number): void => {
      members.slice(0, 2).forEach((each) => noteDelivered(each, 4, 1_000_000));
      if (third > 0) noteDelivered(members[2]!, 1, third);
      updateSpeeds(members, work("train"), now);
    };
    stepAt(1_000, 0);
    stepAt(60_000, 0);
    expect(shares(members, 60_999)).toEqual([4, 4, 0]);
    expect(shares(members, 61_000)[2]).toBe(1);
    // Still slow, it stands by for another minute; recovered, it has its share at once.
    stepAt(61_000, 25_000_000);
    expect(shares(members, 61_001)).toEqual([4, 4, 0]);
    stepAt(61_002, 0);
    expect(shares(members, 121_001)).toEqual([4, 4, 0]);
    expect(shares(members, 121_002)[2]).toBe(1);
    stepAt(121_002, 250_000);
    expect(shares(members, 121_003)).toEqual([3, 2, 3]);
  });

  it("try a worker again also where it has so few threads that it would have none by these", () => {
    const members = [member(8), member(8), member(1)];
    const speeds = [8, 8, 0.5];
    members.forEach((each, index) => void (each.speed = speeds[index]!));
    expect(shares(members, 0)).toEqual([4, 4, 0]);
    members[2]!.idleSince = 0;
    expect(shares(members, 59_999)).toEqual([4, 4, 0]);
    expect(shares(members, 60_000)).toEqual([4, 3, 1]);
  });

  it("try a worker again in one step at a time", () => {
    const run = new CoordinatorTrace({ startWorkers: 2, minWorkers: 2, shards: 8, trainSamples: 80_000, batch: 80 });
    run.join("a");
    run.join("b");
    const [fast, slow] = [...run.state.members.values()];
    [fast!.speed, slow!.speed] = [80, 0.8];
    /** The next assignments, which come when those before are done. */
    const assigned = (): string[] => {
      for (;;) {
        run.now += 1;
        const lines = run.finishWork().filter((line) => line.includes("assignment"));
        if (lines.length > 0) return lines;
      }
    };
    // Of the first step, both have a share by threads.
    assigned();
    expect(assigned()).toEqual([expect.stringMatching(/^a ← assignment train \d+\+\d+: 0-8$/)]);
    slow!.idleSince = run.now - 60_000;
    expect(assigned()).toEqual([
      expect.stringMatching(/^a ← assignment train \d+: /),
      expect.stringMatching(/^b ← assignment train \d+: 7-8$/),
    ]);
  });

  it("reach the plan: the slow worker of two owns one shard of four", () => {
    const run = new CoordinatorTrace({ startWorkers: 2, minWorkers: 2, trainSamples: 80 });
    run.now += 200;
    run.join("a");
    run.join("b");
    // The first step says nothing, and after each there is one that was assigned before.
    for (const [step, ofA] of [
      ["train 0", 9_000_000],
      ["train 1", 1_000_000],
    ] as const) {
      run.assembled("a", "0-2", step, true, ofA);
      run.assembled("b", "2-4", step, true, 3_000_000);
      run.now += 200;
      run.committed();
    }
    run.finishWork();
    expect(run.owners()).toEqual({ "0-2": "a", "2-3": "a", "3-4": "b" });
  });
});
