/** What the doctor makes of facts: every check on both sides of its bounds. */
import { describe, expect, it } from "vitest";
import { answeredOf, diagnose } from "../../../coordinator/cli/diagnosis.ts";
import type { Facts } from "../../../coordinator/cli/diagnosis.ts";
import type { Probed } from "../../../coordinator/cli/probe.ts";
import { LockstepError } from "../../../shared/errors.ts";

const well: Facts = {
  lockstep: "1.2.3",
  node: "24.0.0",
  engine: "onnxruntime-node 1.0.0 cpu",
  kernels: undefined,
  cores: 4,
  memory: { total: 8e9, available: 4e9, limited: false },
  sharesMemory: true,
  disk: { folder: "/data/runs", free: 5e9 },
  coordinator: { address: "ws://trainer:7000", answered: { roundTrip: 1.234, ahead: 0 } },
};

/** The verdicts that are not ok, where these facts are other than well. */
const troubles = (other: Partial<Facts>): string[] =>
  diagnose({ ...well, ...other })
    .filter(({ state }) => state !== "ok")
    .map(({ state, check, found, todo }) => `${state} ${check}: ${found}; ${todo}`);

it("says what it found where all is well, and nothing to do", () => {
  const verdicts = diagnose(well);
  expect(verdicts.every(({ state, todo }) => state === "ok" && todo === undefined)).toBe(true);
  expect(verdicts.map(({ check }) => check)).toEqual([
    "versions",
    "engine",
    "kernels",
    "cores",
    "memory",
    "shared memory",
    "disk",
    "coordinator",
    "clock",
  ]);
  expect(verdicts.at(-2)?.found).toBe("ws://trainer:7000 does its work; an answer takes 1.2 ms (median)");
});

it("says nothing of a coordinator that nobody asked for", () => {
  const { coordinator: _asked, ...alone } = well;
  expect(diagnose(alone).at(-1)?.check).toBe("disk");
});

describe("one trouble", () => {
  const cases: [Partial<Facts>, RegExp][] = [
    [{ engine: new Error("no library") }, /^failure engine: no library; install again/],
    [{ kernels: new Error("no such file") }, /^failure kernels: no such file; install again/],
    [{ cores: 1 }, /^warning cores: 1 core; workers take turns/],
    [
      { memory: { total: 1e9, available: 4e8, limited: true } },
      /^warning memory: 400\.0 MB of 1\.0 GB available \(a cgroup.s limit\); raise the limit/,
    ],
    [{ memory: { total: 1e9, available: 4e8, limited: false } }, /available; start fewer workers here$/],
    [{ sharesMemory: false }, /^warning shared memory: .*sums go over sockets.*; on Linux, make \/dev\/shm/],
    [{ disk: { folder: "/data", free: 9e8 } }, /^warning disk: 900\.0 MB free in \/data; /],
    [{ disk: { folder: "/data", free: 9e6 } }, /^failure disk: 9\.0 MB free in \/data; free some/],
    [{ disk: { folder: "/data", free: new Error("EACCES") } }, /^failure disk: \/data: EACCES; let this user write/],
    [
      {
        coordinator: { address: "ws://a:1", answered: new LockstepError("TLS_REFUSED", "a:1 is none", "give another") },
      },
      /^failure coordinator: a:1 is none; give another$/,
    ],
    [
      { coordinator: { address: "ws://a:1", answered: { roundTrip: 1, ahead: 3 } } },
      /^warning clock: the coordinator's is 3 s ahead of this machine's/,
    ],
    [
      { coordinator: { address: "ws://a:1", answered: { roundTrip: 1, ahead: -90 } } },
      /^warning clock: the coordinator's is 90 s behind this machine's.*NTP/,
    ],
  ];
  it.each(cases)("%j", (other, told) => {
    expect(troubles(other)).toEqual([expect.stringMatching(told)]);
  });
});

describe("several answers", () => {
  const answers = (date?: number): Probed[] => [9, 1, 5, 2, 3].map((took) => ({ took, date }));

  it("have a median round trip", () => expect(answeredOf(answers(0), 0).roundTrip).toBe(3));

  it.each([
    [10_000, 10_999, 0],
    [10_000, 10_000, 0],
    [10_000, 14_000, -3],
    [10_000, 7_000, 3],
  ])("dated %d at %d are of a clock that is %d s ahead", (date, now, ahead) =>
    expect(answeredOf(answers(date), now).ahead).toBe(ahead),
  );

  it("without a date say nothing of a clock", () => {
    const answered = answeredOf(answers(), 0);
    expect(diagnose({ ...well, coordinator: { address: "ws://a:1", answered } }).at(-1)?.check).toBe("coordinator");
  });
});
