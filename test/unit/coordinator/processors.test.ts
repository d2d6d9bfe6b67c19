/** Which processors a worker of this machine gets. That it runs there: test/process/local-workers.test.ts. */
import { describe, expect, it } from "vitest";
import { processorsFor, startOn } from "../../../coordinator/processors.ts";

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

describe("starting a process", () => {
  it("returns what the start returned, wherever it may run", () => {
    expect(
      startOn(
        (processors) => processors,
        () => "started",
      ),
    ).toBe("started");
    expect(
      startOn(
        () => [8_191],
        () => "started",
      ),
    ).toBe("started");
  });

  it("leaves the choice open again if the start fails", () => {
    const seen: (readonly number[])[] = [];
    const choose = (processors: readonly number[]): readonly number[] => {
      seen.push(processors);
      return processors.slice(0, 1);
    };
    const fail = (): never => {
      throw new Error("it cannot start");
    };
    for (let attempt = 0; attempt < 2; attempt++) expect(() => startOn(choose, fail)).toThrow("it cannot start");
    expect(seen[1]).toEqual(seen[0]);
  });
});
