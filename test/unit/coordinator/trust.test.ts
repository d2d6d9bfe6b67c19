import { expect, it } from "vitest";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";

/** Two workers of which a has failed so many times, a second apart, and has just come back. */
function after(failures: number): CoordinatorTrace {
  const run = new CoordinatorTrace({ startWorkers: 2, epochs: 1_000_000, testSamples: 0 });
  run.join("a");
  run.join("b");
  for (let failure = 0; failure < failures; failure++) {
    run.pass(1_000);
    run.disconnect("a");
    run.join("a");
  }
  return run;
}

/** Milliseconds until a is given work. */
function rest(run: CoordinatorTrace): number {
  const from = run.now;
  for (;;) {
    run.finishWork();
    if (Object.values(run.owners()).includes("a")) return run.now - from;
    run.pass(100);
  }
}

it("a worker that comes back rests, longer with every failure, and never for ever", () => {
  expect(rest(after(0))).toBe(0);
  const rests = [1, 2, 3, 4, 5, 6, 20].map((failures) => rest(after(failures)));
  expect(rests).toEqual(rests.toSorted((left, right) => left - right));
  // And a step of 100 ms that had been assigned before.
  expect(rests[0]).toBeLessThanOrEqual(500 + 100);
  expect(rests[3]).toBeGreaterThan(3_000);
  expect(rests.at(-1)).toBe(30_000 + 100);
});

it("good behaviour is rewarded: minutes later a failure costs little again", () => {
  const run = after(5);
  run.pass(600_000);
  run.disconnect("a");
  run.join("a");
  expect(rest(run)).toBeLessThanOrEqual(600);
});

it("of a thousand names, that which failed longest ago is forgotten first", () => {
  const run = after(1);
  const fail = (worker: string): void => {
    run.join(worker);
    run.disconnect(worker);
  };
  for (let other = 1; other < 1_000; other++) fail(`w${other}`);
  run.disconnect("a");
  fail("w1000");
  expect(["w1", "w2"].map((name) => run.state.failures.has(name))).toEqual([false, true]);
  run.join("a");
  expect(rest(run)).toBeGreaterThan(0);
});

it("leaving in good order costs nothing", () => {
  const run = after(0);
  const { id } = [...run.state.members.values()][0]!;
  run.feed({ type: "message", worker: id, message: { type: "leave" } });
  run.join("a");
  expect(rest(run)).toBe(0);
});

it("a resting worker is used where there is no other", () => {
  const run = after(8);
  run.disconnect("b");
  run.finishWork();
  expect(new Set(Object.values(run.owners()))).toEqual(new Set(["a"]));
});

it("damaged and late answers count too", () => {
  const damaged = after(0);
  damaged.corrupt("a", "0-2");
  expect(rest(damaged)).toBeGreaterThan(0);
  const late = after(0);
  late.assembled("b", "2-4");
  late.pass(30_000);
  expect(rest(late)).toBeGreaterThan(0);
});
