/** Which processors a worker of this machine gets. That it runs there: test/process/local-workers.test.ts. */
import { describe, expect, it } from "vitest";
import { processorsFor, startOn } from "../../../coordinator/local-workers/processors.ts";
import { canChoose, processorsOf } from "../../support/processors.ts";

/** A process may be kept to some of a machine's processors. */
const all = [1, 4, 5, 6, 7, 9];

const shares = (workers: number, threads: number, usable = all.length): (readonly number[])[] =>
  Array.from({ length: workers }, (_, worker) => processorsFor(worker, { workers, threads }, all, usable));

describe("a worker", () => {
  it("has as many processors as compute threads, and no other worker has them, if the threads are as many", () => {
    expect(shares(6, 1)).toEqual([[1], [4], [5], [6], [7], [9]]);
    expect(shares(3, 2)).toEqual([
      [1, 4],
      [5, 6],
      [7, 9],
    ]);
    expect(shares(1, 6)).toEqual([all]);
  });

  it("has all if the threads are fewer or more", () => {
    expect(shares(5, 1)).toEqual([all, all, all, all, all]);
    expect(shares(2, 2)).toEqual([all, all]);
    expect(shares(2, 6)).toEqual([all, all]);
  });

  it("has all if not all of them may be kept busy", () => {
    expect(shares(3, 2, 2)).toEqual([all, all, all]);
  });
});

describe.runIf(canChoose)("while a process is started", () => {
  const before = canChoose ? processorsOf() : "";
  const first = (processors: readonly number[]): readonly number[] => processors.slice(0, 1);

  it("its parent runs on the processors that are chosen, and anywhere again after that", () => {
    expect(startOn(first, () => processorsOf())).toMatch(/^\d+$/);
    expect(processorsOf()).toBe(before);
  });

  it("its parent runs anywhere again if the start fails", () => {
    const fail = (): never => {
      throw new Error(`cannot start on ${processorsOf()}`);
    };
    expect(() => startOn(first, fail)).toThrow(/^cannot start on \d+$/);
    expect(processorsOf()).toBe(before);
  });

  it("its parent runs anywhere if the system refuses", () => {
    // More than any machine has.
    expect(
      startOn(
        () => [8_191],
        () => processorsOf(),
      ),
    ).toBe(before);
    expect(processorsOf()).toBe(before);
  });
});

it("a process is started also where nothing is to be chosen", () => {
  expect(
    startOn(
      (processors) => processors,
      () => "started",
    ),
  ).toBe("started");
});
