import { describe, expect, it } from "vitest";
import { mostCopies } from "../../../coordinator/core/assigning.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { stepNumber, workerId } from "../../../shared/ids.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";

/** Two workers, a with 0-2 and b with 2-4 of the open step. */
function pair(): CoordinatorTrace {
  const run = new CoordinatorTrace({ startWorkers: 2 });
  run.join("a");
  run.join("b");
  expect(run.owners()).toEqual({ "0-2": "a", "2-4": "b" });
  return run;
}

describe("a lost worker", () => {
  it("in the middle of a step has its unfinished pieces given to others at once, and its bytes freed", () => {
    const run = pair();
    expect(run.disconnect("a")).toEqual(["notify worker-lost", "drop a 0-2", "b ← assignment train 0: 0-2"]);
    run.assembled("b", "0-2");
    expect(run.assembled("b", "2-4")).toEqual(["fold b 2-4", "commit train 0"]);
  });

  it("loses nothing that it had delivered", () => {
    const run = pair();
    run.assembled("a", "0-2");
    expect(run.disconnect("a")).toEqual(["notify worker-lost"]);
    expect(run.assembled("b", "2-4")).toContain("commit train 0");
  });

  it("has none to give away where no step is open", () => {
    const run = new CoordinatorTrace({ startWorkers: 3 });
    run.join("a");
    run.join("b");
    const lost = { type: "worker-lost", worker: "a", reason: "gone", reassigned: 0, workers: 1 };
    expect(run.told({ type: "disconnected", worker: workerId("a"), reason: "gone" })).toEqual([lost]);
    const open = pair();
    expect(open.told({ type: "disconnected", worker: workerId("a"), reason: "gone" })).toEqual([
      { ...lost, reassigned: 1 },
    ]);
  });

  it("has its pieces given to who has the least to do", () => {
    const run = new CoordinatorTrace({ startWorkers: 3, shards: 8, batch: 16, trainSamples: 32 });
    for (const [worker, threads] of [
      ["a", 3],
      ["b", 3],
      ["c", 2],
    ] as const)
      run.join(worker, threads);
    // Of a tree's nodes, b has two, and c one that is larger than each of them.
    expect(run.owners()).toEqual({ "0-2": "a", "2-3": "a", "3-4": "b", "4-6": "b", "6-8": "c" });
    expect(run.disconnect("a").filter((line) => line.includes("assignment"))).toEqual([
      "c ← assignment train 0: 0-2",
      "b ← assignment train 0: 2-3",
    ]);
  });

  it("without another leaves its pieces to the next that joins", () => {
    const run = new CoordinatorTrace();
    run.join("a");
    expect(run.disconnect("a")).toEqual(["notify worker-lost", "drop a 0-4"]);
    expect(run.join("b")).toEqual(["notify worker-joined", "b ← assignment train 0: 0-4", "b ← parameters"]);
  });

  it("is one to which the parameters come damaged, unless they are of a version that is over", () => {
    const run = pair();
    const damaged = (version: number): string[] =>
      run.feed({
        type: "message",
        worker: workerId("a"),
        message: { type: "damaged", version: stepNumber(version) },
      });
    run.finishWork();
    expect(run.state.steps).toBe(1);
    expect(damaged(0)).toEqual([]);
    expect(damaged(1)).toEqual(["a close", "notify worker-lost", "drop a 0-2", "b ← assignment train 1: 0-2"]);
    expect(damaged(1)).toEqual([]);
  });

  it("while it joins changes nothing", () => {
    const run = pair();
    run.connect("c");
    run.hello("c");
    expect(run.disconnect("c")).toEqual([]);
  });

  it("is one that leaves, that cannot go on, or that is silent", () => {
    const given = ["drop a 0-2", "b ← assignment train 0: 0-2"];
    const a = workerId("a");
    const left = pair().feed({ type: "message", worker: a, message: { type: "leave" } });
    expect(left).toEqual(["a close", "notify worker-lost", ...given]);
    const failed = pair().feed({
      type: "message",
      worker: a,
      message: { type: "failed", code: "DATA_MISSING", message: "" },
    });
    expect(failed).toEqual(["notify refused", "a close", "notify worker-lost", ...given]);
    const run = pair();
    expect(run.pass(15_000, ["a"])).toEqual([]);
    expect(run.pass(1_000, ["a"])).toEqual(["a close", "notify worker-lost", ...given]);
  });

  it("is told of with the reason", () => {
    const lost = { type: "worker-lost", worker: "a", reassigned: 1, workers: 1 };
    const silent = pair();
    silent.pass(15_000, ["a"]);
    silent.now += 1_000;
    expect(silent.told({ type: "tick" })).toMatchObject([{ ...lost, reason: "silent for 15 s" }]);
    const damaged = { type: "damaged", version: stepNumber(0) } as const;
    expect(pair().told({ type: "message", worker: workerId("a"), message: damaged })).toMatchObject([
      { ...lost, reason: "parameters of step 1 came to it damaged" },
    ]);
  });

  it("is none whose bytes still come, of a message that takes long on a slow link", () => {
    const run = pair();
    for (let second = 0; second < 60; second++) {
      expect(run.pass(1_000, ["a"]).filter((line) => line.includes("lost"))).toEqual([]);
      run.feed({ type: "heard", worker: workerId("a") });
    }
  });

  it("is none that could not be heard because the coordinator itself was frozen", () => {
    const run = pair();
    run.pass(1_000);
    run.now += 60_000;
    expect(run.feed({ type: "tick" }).filter((line) => line.includes("lost"))).toEqual([]);
    expect(run.pass(16_000, ["a"])).toContain("notify worker-lost");
  });

  it("is one that is silent after that, also if it was heard before the coordinator noticed", () => {
    const run = pair();
    run.pass(1_000);
    run.now += 60_000;
    run.feed({ type: "heard", worker: workerId("a") });
    run.feed({ type: "tick" });
    expect(run.pass(16_000, ["a"])).toContain("notify worker-lost");
  });

  it("is none either where it was frozen for less than a worker may be silent", () => {
    const run = pair();
    run.pass(1_000);
    run.now += 900;
    run.feed({ type: "tick" });
    run.now += 14_900;
    expect(run.feed({ type: "tick" }).filter((line) => line.includes("lost"))).toEqual([]);
  });

  it("makes the run wait below the minimum after the open step, and go on with the next that joins", () => {
    const run = new CoordinatorTrace({ minWorkers: 2, startWorkers: 2 });
    run.join("a");
    run.join("b");
    run.disconnect("b");
    expect(run.finishWork().slice(2)).toEqual(["notify waiting"]);
    expect(run.pass(5_000)).toEqual([]);
    // What comes meanwhile is of no step that is open.
    expect(run.segment("a", "0-4", { work: "train 1" })).toEqual(["a ← PARTIAL_STALE train 1: 0-4"]);
    // What a was assigned ahead it has computed in vain meanwhile: it is told again.
    expect(run.join("c").slice(0, 4)).toEqual([
      "notify worker-joined",
      "open train 1",
      "a ← assignment train 1: 0-2",
      "c ← assignment train 1: 2-4",
    ]);
  });
});

describe("a run that gathers its workers", () => {
  it("starts with fewer after a while", () => {
    const run = new CoordinatorTrace({ startWorkers: 3 });
    run.join("a");
    expect(run.pass(19_000)).toEqual([]);
    expect(run.pass(1_000).slice(0, 3)).toEqual(["open train 0", "a ← assignment train 0: 0-4", "a ← parameters"]);
  });
});

describe("a run that waits for workers", () => {
  it("says for how many: for those it starts with, and later for those it may go on with", () => {
    const run = new CoordinatorTrace({ startWorkers: 3, minWorkers: 2 });
    const connected = { type: "connected", nonce: "", token: run.token, isLocal: false, isOwn: false } as const;
    expect(run.told({ ...connected, worker: workerId("x") })).toEqual([{ type: "waiting", workers: 0, needed: 3 }]);
    for (const worker of ["a", "b", "c"]) run.join(worker);
    run.disconnect("b");
    run.disconnect("c");
    expect(run.finishWorkFor("waiting")).toEqual([{ type: "waiting", workers: 1, needed: 2 }]);
  });
});

describe("a late piece", () => {
  it("is computed by another worker too, and the first answer wins", () => {
    const run = pair();
    run.assembled("b", "2-4");
    expect(run.pass(29_000)).toEqual([]);
    expect(run.pass(1_000)).toEqual(["b ← assignment train 0: 0-2"]);
    expect(run.owners()).toEqual({ "0-2": "a b" });
    const large = { length: 1 << 20, total: 2 << 20, checksum: 0 };
    expect(run.segment("a", "0-2", { segment: { offset: 1 << 20, ...large } })).toEqual(["receive a 0-2"]);
    expect(run.assembled("b", "0-2")).toEqual(["fold b 0-2", "drop a 0-2", "commit train 0"]);
    // The copy that lost is answered with the segment that comes last.
    expect(run.segment("a", "0-2", { segment: { offset: 0, ...large } })).toEqual([
      "a ← PARTIAL_DUPLICATE train 0: 0-2",
    ]);
  });

  it("is late after eight times as long as steps take of late, and after two seconds at least", () => {
    /** Milliseconds until a piece of the third step is given to another worker, where the first two took so long. */
    const patience = (...durations: readonly [number, number]): number => {
      const run = new CoordinatorTrace({ startWorkers: 2, trainSamples: 80 });
      run.join("a");
      run.join("b");
      for (const duration of durations) {
        run.pass(duration);
        run.finishWork();
      }
      const from = run.now;
      while (run.pass(100).length === 0);
      return run.now - from;
    };
    expect(patience(1_000, 1_000)).toBe(8_000);
    // The mean moves by a sixteenth.
    expect(patience(1_000, 2_600)).toBe(8_800);
    expect(patience(100, 100)).toBe(2_000);
  });

  it("is given to yet another after as long again, and no more once it is done", () => {
    const run = new CoordinatorTrace({ startWorkers: 3, shards: 3 });
    for (const worker of ["a", "b", "c"]) run.join(worker);
    run.assembled("b", "1-2");
    run.assembled("c", "2-3");
    expect(run.pass(30_000)).toEqual(["b ← assignment train 0: 0-1"]);
    expect(run.pass(29_000)).toEqual([]);
    expect(run.pass(1_000)).toEqual(["c ← assignment train 0: 0-1"]);
    const other = new CoordinatorTrace({ startWorkers: 3, shards: 3 });
    for (const worker of ["a", "b", "c"]) other.join(worker);
    other.assembled("c", "2-3");
    other.pass(30_000);
    expect(other.owners()).toEqual({ "0-1": "a c", "1-2": "b c" });
    other.assembled("c", "0-1");
    expect(other.pass(30_000)).toEqual(["a ← assignment train 0: 1-2"]);
  });

  it("may be given to its worker once more, over a connection that it has made anew", () => {
    const run = new CoordinatorTrace();
    run.join("a");
    run.connect("x");
    run.hello("x", { name: "a" });
    run.ready("x");
    expect(run.pass(30_000)).toEqual(["x ← assignment train 0: 0-4", "x ← parameters"]);
  });

  it("is one under audit too, of which only who has not sent its sum is late", () => {
    const run = new CoordinatorTrace({ audit: 1, startWorkers: 2, shards: 2 });
    run.join("a");
    run.join("b");
    expect(run.owners()).toEqual({ "0-1": "a b", "1-2": "b a" });
    run.assembled("a", "0-1");
    run.assembled("a", "1-2");
    run.pass(30_000);
    expect([...run.state.failures.keys()]).toEqual(["b"]);
    const compared = new CoordinatorTrace({ audit: 1, startWorkers: 2, shards: 2 });
    for (const worker of ["a", "b"]) compared.join(worker);
    for (const worker of ["a", "b"]) for (const node of ["0-1", "1-2"]) compared.assembled(worker, node);
    compared.pass(30_000);
    expect(compared.state.failures.size).toBe(0);
  });

  it("stays with the only worker", () => {
    const run = new CoordinatorTrace();
    run.join("a");
    expect(run.pass(120_000)).toEqual([]);
    expect(run.owners()).toEqual({ "0-4": "a" });
  });

  const copies = (run: CoordinatorTrace): string[] =>
    Object.values(run.owners()).flatMap((owners) => owners.split(" "));

  it("never has more copies on their way than there are buffers for", () => {
    const run = new CoordinatorTrace({ shards: 2, startWorkers: 5 });
    for (const worker of ["a", "b", "c", "d", "e"]) run.join(worker);
    run.pass(300_000);
    expect(copies(run)).toHaveLength(mostCopies(2));
    // Nor where several are late at a time.
    const other = new CoordinatorTrace({ startWorkers: 5 });
    for (const worker of ["a", "b", "c", "d", "e"]) other.join(worker);
    other.pass(300_000);
    expect(copies(other)).toHaveLength(mostCopies(4));
  });

  it("has a copy less where another has been delivered, which is in a buffer too", () => {
    const run = new CoordinatorTrace({ shards: 2, startWorkers: 8 });
    for (const worker of ["a", "b", "c", "d", "e", "f", "g", "h"]) run.join(worker);
    run.assembled(run.owners()["0-1"]!, "0-1");
    run.pass(600_000);
    expect(copies(run)).toHaveLength(mostCopies(2) - 1);
  });
});

describe("a frozen worker", () => {
  it("is given nothing also where the only other one rests after a failure", () => {
    const run = new CoordinatorTrace({ startWorkers: 2, trainSamples: 80 });
    run.join("a");
    run.join("b");
    run.pass(3_000, ["b"]);
    run.corrupt("a", "0-2");
    run.finishWork();
    expect(new Set(Object.values(run.owners()))).toEqual(new Set(["a"]));
  });

  it("is given nothing more until it is heard again", () => {
    const run = pair();
    run.pass(3_000, ["a"]);
    // What it was assigned ahead is taken from it.
    expect(run.finishWork()).toEqual([
      "open train 1",
      "b ← parameters",
      "b ← assignment train 1: 0-2",
      "record step 1",
      "notify step",
    ]);
    run.pass(1_000);
    run.finishWork();
    expect(Object.values(run.owners())).toEqual(["a", "b"]);
  });

  it("does not stretch the deadlines of the steps that follow", () => {
    const run = new CoordinatorTrace({ startWorkers: 2, trainSamples: 80 });
    run.join("a");
    run.join("b");
    run.pass(9_000, ["a"]);
    run.disconnect("a");
    run.finishWork();
    // Also the step that had been assigned ahead is made of what b had and of what a had.
    run.finishWork();
    expect(run.state.meanDuration).toEqual({});
    run.now += 40;
    run.finishWork();
    expect(run.state.meanDuration).toEqual({ train: 40 });
  });
});

describe("how long a step takes", () => {
  it("is not learnt from one of which a piece was late, or was computed twice as it was not finite", () => {
    const late = pair();
    late.pass(30_000);
    late.finishWork();
    expect(late.state.meanDuration).toEqual({});
    const twice = pair();
    twice.feed({ type: "spoiled", by: [] });
    twice.assembled("a", "0-2", "train 0", false);
    twice.assembled("b", "0-2", "train 0", false);
    twice.compared("0-2", "a b");
    twice.now += 40;
    twice.finishWork();
    expect(twice.state.meanDuration).toEqual({});
    twice.now += 40;
    twice.finishWork();
    expect(twice.state.meanDuration).toEqual({ train: 40 });
  });
});

describe("a partial that is not wanted", () => {
  it("is answered with its code, once, whatever the number of its segments", () => {
    const run = pair();
    expect(run.segment("a", "2-4")).toEqual(["a ← PARTIAL_STALE train 0: 2-4"]);
    expect(run.segment("a", "0-3")).toEqual(["a ← PARTIAL_STALE train 0: 0-3"]);
    expect(run.segment("a", "0-2", { run: "other" })).toEqual(["a ← PARTIAL_STALE train 0: 0-2"]);
    expect(run.segment("a", "0-2", { work: "evaluate 0" })).toEqual(["a ← PARTIAL_STALE evaluate 0: 0-2"]);
    run.assembled("a", "0-2");
    expect(run.segment("a", "0-2")).toEqual(["a ← PARTIAL_DUPLICATE train 0: 0-2"]);
    const first = { offset: 1 << 20, length: 1 << 20, total: 2 << 20, checksum: 0 };
    expect(run.segment("a", "0-2", { segment: first })).toEqual([]);
    run.finishWork();
    expect(run.segment("a", "0-2", { work: "train 0" })).toEqual(["a ← PARTIAL_STALE train 0: 0-2"]);
    expect(run.assembled("a", "0-2", "train 0")).toEqual(["drop a 0-2", "a ← PARTIAL_STALE train 0: 0-2"]);
  });
});

describe("a corrupt partial", () => {
  it("is computed again by another worker, however idle its sender is", () => {
    const run = pair();
    const corrupt = ["drop a 0-2", "a ← PARTIAL_CORRUPT train 0: 0-2"];
    expect(run.corrupt("a", "0-2")).toEqual([...corrupt, "b ← assignment train 0: 0-2"]);
    expect(run.segment("a", "0-2")).toEqual(["a ← PARTIAL_STALE train 0: 0-2"]);
    expect(run.corrupt("a", "0-2")).toEqual(corrupt);
    expect(run.owners()).toEqual({ "0-2": "b", "2-4": "b" });
  });

  it("is computed again by another also where both have failed of late", () => {
    const run = pair();
    run.corrupt("b", "2-4");
    run.assembled("a", "2-4");
    expect(run.owners()).toEqual({ "0-2": "a" });
    expect(run.corrupt("a", "0-2").at(-1)).toBe("b ← assignment train 0: 0-2");
    // And once more, the other way round.
    expect(run.corrupt("b", "0-2").at(-1)).toBe("a ← assignment train 0: 0-2");
  });

  it("is computed again by its sender when nobody else is there", () => {
    const run = new CoordinatorTrace();
    run.join("a");
    expect(run.corrupt("a", "0-4").at(-1)).toBe("a ← assignment train 0: 0-4");
    expect(run.segment("a", "0-4")).toEqual(["receive a 0-4"]);
  });
});

describe("a worker that may not stay", () => {
  const refused = (code: string, worker = "c"): string[] => [
    `${worker} ← refused ${code}`,
    `${worker} close`,
    "notify refused",
  ];

  it("has another version or protocol", () => {
    const run = pair();
    run.connect("c");
    expect(run.hello("c", { version: "1.0.1" })).toEqual(refused("VERSION_MISMATCH"));
    expect(run.hello("c")).toEqual([]);
    run.connect("d");
    expect(run.hello("d", { protocol: 1 })).toEqual(refused("VERSION_MISMATCH", "d"));
  });

  it("has other data, another layout or other arithmetic", () => {
    const cases = [
      [{ dataSha256: "0".repeat(64) }, "DATA_MISMATCH"],
      [{ layoutHash: "0".repeat(64) }, "LAYOUT_MISMATCH"],
      [{ fingerprint: "0".repeat(64) }, "FINGERPRINT_MISMATCH"],
    ] as const;
    for (const [changes, code] of cases) {
      const run = pair();
      run.connect("c");
      run.hello("c");
      expect(run.ready("c", changes)).toEqual(refused(code));
    }
    const inexact = new CoordinatorTrace({ exact: false }, { fingerprint: "1".repeat(64) });
    expect(inexact.join("a").slice(0, 2)).toEqual(["notify warning FINGERPRINT_MISMATCH", "notify worker-joined"]);
  });

  it("says nothing after connecting", () => {
    const run = pair();
    run.pass(5_000);
    run.connect("c");
    expect(run.pass(10_000)).toEqual([]);
    expect(run.pass(1_000)).toEqual(refused("HANDSHAKE_TIMEOUT"));
  });

  it("never becomes ready, although it sends heartbeats", () => {
    const run = pair();
    run.pass(5_000);
    run.connect("c");
    run.hello("c");
    expect(run.pass(600_000).filter((line) => line.includes("c"))).toEqual([]);
    expect(run.pass(1_000)).toEqual(refused("HANDSHAKE_TIMEOUT"));
  });

  it("sends what does not belong to its phase, or what is no message, and is refused once", () => {
    const run = pair();
    run.connect("c");
    expect(run.segment("c", "0-2")).toEqual(refused("PROTOCOL_VIOLATION"));
    expect(run.hello("b").slice(0, 3)).toEqual(refused("PROTOCOL_VIOLATION", "b"));
    const violation = {
      type: "violation",
      worker: workerId("a"),
      error: new LockstepError("PROTOCOL_VIOLATION", "no"),
    } as const;
    expect(run.feed(violation)).toEqual([
      ...refused("PROTOCOL_VIOLATION", "a"),
      "notify worker-lost",
      "drop a 0-2",
      "drop a 2-4",
    ]);
    expect(run.feed(violation)).toEqual([]);
  });
});

describe("a step whose sums are spoiled", () => {
  const trusts = (run: CoordinatorTrace): boolean => run.state.work!.trusting;

  it("begins anew, trusts nobody, and whoever is to blame rests", () => {
    const run = pair();
    expect(trusts(run)).toBe(true);
    run.assembled("a", "0-2");
    expect(run.assembled("b", "2-4")).toContain("commit train 0");
    expect(run.feed({ type: "spoiled", by: [workerId("b"), workerId("b")] })).toEqual([
      "notify warning PARTIAL_CORRUPT",
      "open train 0",
      "a ← assignment train 0: 0-4",
    ]);
    expect(trusts(run)).toBe(false);
    run.assembled("a", "0-4");
    run.committed();
    expect(run.state.work!.name.step).toBe(1);
    expect(trusts(run)).toBe(true);
  });

  it("begins anew where a number is not finite, which is said, and nobody is to blame", () => {
    const run = pair();
    run.assembled("a", "0-2");
    run.assembled("b", "2-4");
    expect(run.feed({ type: "spoiled", by: [] })).toEqual([
      "notify warning LOSS_NOT_FINITE",
      "open train 0",
      "a ← assignment train 0: 0-2",
      "b ← assignment train 0: 2-4",
    ]);
    expect(trusts(run)).toBe(false);
    // Known one by one, the sum that is not finite is computed by another as well.
    expect(run.assembled("a", "0-2", "train 0", false)).toContain("b ← assignment train 0: 0-2");
  });

  it("is blamed on one that is gone without more ado", () => {
    const run = pair();
    run.assembled("a", "0-2");
    run.disconnect("a");
    run.assembled("b", "2-4");
    expect(run.feed({ type: "spoiled", by: [workerId("a")] })).toContain("open train 0");
  });

  it.each([
    ["whose numbers are not finite", [], "LOSS_NOT_FINITE", "the sums of step"],
    ["that a worker damages", ["b"], "PARTIAL_CORRUPT", "the sum that worker b left"],
  ] as const)("%s is told of one by one at first, then with how often it has happened", (_, by, code, beginning) => {
    const run = new CoordinatorTrace({ startWorkers: 2, epochs: 1_000, testSamples: 0 });
    run.join("a");
    run.join("b");
    const told: string[] = [];
    for (let step = 1; step <= 1_200; step++) {
      // Rests are over.
      run.pass(31_000);
      for (const effect of run.effects({ type: "spoiled", by: by.map(workerId) })) {
        if (effect.type !== "notify" || effect.event.type !== "warning") continue;
        expect(effect.event).toMatchObject({ code, message: expect.stringContaining(`step ${step}`) });
        expect(effect.event.message).toMatch(beginning);
        const [, summary = ""] = /\((.*)\)$/.exec(effect.event.message) ?? [];
        told.push(`${step} ${summary}`.trim());
      }
      run.finishWork();
    }
    expect(told).toEqual([
      "1",
      "2",
      "3 it has happened 3 times, and is told again the 10th time",
      "10 it has happened 10 times, and is told again the 100th time",
      "100 it has happened 100 times, and is told again the 1000th time",
      "1000 it has happened 1000 times, and is told again the 10000th time",
    ]);
    // What another one does is another matter.
    expect(run.feed({ type: "spoiled", by: [workerId("a")] })).toContain("notify warning PARTIAL_CORRUPT");
  });

  it("was no evaluation, and no step of which a partial is audited", () => {
    const run = new CoordinatorTrace({ audit: 1, startWorkers: 2 });
    run.join("a");
    run.join("b");
    expect(trusts(run)).toBe(false);
    const other = pair();
    other.finishWork();
    other.finishWork();
    expect(other.state.work!.name.kind).toBe("evaluate");
    expect(trusts(other)).toBe(false);
  });
});
