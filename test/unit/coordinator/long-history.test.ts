import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { RunHistory } from "../../../coordinator/dashboard/history.ts";
import { readHistory } from "../../../coordinator/dashboard/read-run.ts";
import { temporaryFolder } from "../../support/files.ts";

it.each([
  ["metrics.jsonl", "stepTaken", { type: "step", step: 1, epoch: 1, loss: 0.25 }],
  ["events.jsonl", "accept", { at: 1, type: "checkpoint", path: "checkpoints/1", step: 1 }],
] as const)(
  "a long run's %s is read a little at a time: what the process has to do meanwhile is done between",
  async (file, method, line) => {
    const count = 20_000;
    const run = await temporaryFolder();
    await writeFile(join(run, file), `${JSON.stringify(line)}\n`.repeat(count));
    const taken = vi.spyOn(RunHistory.prototype, method);
    onTestFinished(() => void vi.restoreAllMocks());
    let [before, most] = [0, 0];
    const measure = (): void => {
      most = Math.max(most, taken.mock.calls.length - before);
      before = taken.mock.calls.length;
    };
    const look = (): void => {
      measure();
      next = setImmediate(look);
    };
    let next = setImmediate(look);
    await readHistory(run);
    clearImmediate(next);
    measure();
    expect(taken).toHaveBeenCalledTimes(count);
    expect(most).toBeLessThan(count / 5);
  },
);

describe("of workers that are gone", () => {
  const join = (history: RunHistory, worker: string): void =>
    history.accept({ type: "worker-joined", worker, workers: 1 }, 0);
  const lose = (history: RunHistory, worker: string, reason: string): void =>
    history.accept({ type: "worker-lost", worker, reason, reassigned: 0, workers: 1 }, 0);
  function historyOf(...gone: readonly { readonly worker: string; readonly reason: string }[]): RunHistory {
    const history = new RunHistory();
    for (const { worker, reason } of gone) {
      join(history, worker);
      lose(history, worker, reason);
    }
    return history;
  }
  const many = (reason: string, count: number): { worker: string; reason: string }[] =>
    Array.from({ length: count }, (_, index) => ({ worker: `${reason} ${index}`, reason }));
  const namesOf = ({ workers }: RunHistory): string[] => [...workers.keys()];

  it("the hundred that went last are remembered, and all that are here", () => {
    const history = historyOf(...many("crash", 150));
    for (let here = 0; here < 150; here++) join(history, `here ${here}`);
    lose(history, "here 0", "crash");
    expect(history.workers.size).toBe(100 + 149);
    expect(namesOf(history).filter((name) => name.startsWith("crash"))).toEqual(
      many("crash", 150)
        .slice(51)
        .map(({ worker }) => worker),
    );
  });

  it("those that left in good order are forgotten first, and the quarantined last", () => {
    const history = new RunHistory();
    history.accept({ type: "quarantined", worker: "liar", step: 1, since: 1, shards: [0, 1] }, 0);
    history.precede(historyOf({ worker: "early", reason: "crash" }));
    for (const [name, record] of historyOf(...many("left", 150), ...many("crash", 60)).workers)
      lose(history, name, record.reason!);
    const names = namesOf(history);
    expect(names).toHaveLength(100);
    expect(names.slice(0, 2)).toEqual(["early", "liar"]);
    expect(names.filter((name) => name.startsWith("crash"))).toHaveLength(60);
    for (const { worker, reason } of many("late", 200)) lose(history, worker, reason);
    expect(namesOf(history)).toEqual([
      "liar",
      ...many("late", 200)
        .slice(101)
        .map(({ worker }) => worker),
    ]);
  });

  it("those of an earlier start are older than those of this one", () => {
    const history = historyOf(...many("now", 60));
    history.precede(historyOf(...many("then", 90), { worker: "now 59", reason: "crash" }));
    expect(namesOf(history)).toEqual([...many("then", 90).slice(50), ...many("now", 60)].map(({ worker }) => worker));
    expect(history.workers.get("now 59")?.failures).toBe(2);
  });
});
