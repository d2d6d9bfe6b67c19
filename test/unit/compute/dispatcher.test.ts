import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { SharedMemory, sharedBytes } from "../../../coordinator/exchange/shared-memory.ts";
import { ComputePool, readHere } from "../../../shared/compute/pool.ts";
import type { Sum } from "../../../shared/compute/queue.ts";
import type { ComputeResult, ComputeTask } from "../../../shared/compute/task.ts";
import { signalOf } from "../../../shared/gradient/arrivals.ts";
import { partialLayouts, vectorBytes } from "../../../shared/gradient/partial.ts";
import { runId, stepNumber, workerId } from "../../../shared/ids.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { HostFile, wholePages } from "../../../shared/memory/host-memory.ts";
import { HOST_PAGE } from "../../../shared/system.ts";
import { regressionPlan } from "../../support/regression-plan.ts";
import type { Assignment, RunPlan } from "../../../shared/protocol/messages.ts";

const BATCH = 8;
const SHARDS = 4;
const announced = { microseconds: 1, announced: true, calls: [] } as const;

const planOf = (): Promise<RunPlan> =>
  regressionPlan({ samples: 20 * BATCH, batch: BATCH, shards: SHARDS, layers: [{ kind: "dense", units: 1 }] });

/** A pool whose threads do nothing until they are told what became of their tasks. */
class PoolBench {
  readonly given: (readonly ComputeTask[])[] = [];
  readonly sums: { readonly step: number; readonly sum: Sum }[] = [];
  readonly pool: ComputePool;
  readonly #plan: RunPlan;
  readonly #waiting: ((results: ComputeResult[]) => void)[] = [];

  private constructor(plan: RunPlan, data: Awaited<ReturnType<typeof readHere>>) {
    this.#plan = plan;
    const run = (tasks: readonly ComputeTask[]): Promise<ComputeResult[]> => {
      this.given.push(tasks);
      return new Promise((resolve) => this.#waiting.push(resolve));
    };
    this.pool = new ComputePool(plan, 1, data, () => ({ run, wake: () => {}, close: async () => {} }));
  }

  static async open(): Promise<PoolBench> {
    const plan = await planOf();
    const bench = new PoolBench(plan, await readHere(plan));
    onTestFinished(() => bench.pool.close());
    return bench;
  }

  /** Shares memory with a coordinator, which is this process too. */
  share(): void {
    const { parameters, metrics } = this.#plan;
    const layouts = partialLayouts(parameters, metrics);
    const partialBytes = vectorBytes(layouts.partial.train);
    const file = HostFile.create(2 * wholePages(vectorBytes(layouts.parameters)) + HOST_PAGE)!;
    const room = 2 ** 22;
    const arena = new Arena(sharedBytes(partialBytes, room));
    const memory = new SharedMemory(arena, file, partialBytes, room);
    const worker = workerId("w1");
    const offer = memory.offer(worker, { onFrame: () => {}, onViolation: () => {} })!;
    if (!this.pool.memory.share(runId("run"), offer)) throw new Error("this host has no memory to share");
    onTestFinished(() => memory.forget(worker));
  }

  assign(step: number, works: number, nodes: Assignment["nodes"] = [[0, SHARDS]]): void {
    const work = { kind: "train", step: stepNumber(step) } as const;
    const rest = { epoch: 0, offset: step * BATCH, samples: BATCH, shards: SHARDS };
    this.pool.compute({ type: "assignment", work, works, ...rest, nodes }, (name, sum) =>
      this.sums.push({ step: name.step, sum }),
    );
  }

  /** The threads have done with the series that was given first. */
  async end(...results: ComputeResult[]): Promise<void> {
    this.#waiting.shift()!(results);
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** The steps of each series. */
  get series(): number[][] {
    return this.given.map((tasks) => tasks.map(({ step }) => step));
  }
}

describe("tasks that are given to a thread together", () => {
  let bench: PoolBench;
  beforeEach(async () => void (bench = await PoolBench.open()));

  it("are those of works that are one task each and are announced, all into one buffer", async () => {
    bench.share();
    bench.assign(3, 4);
    expect(bench.series).toEqual([[3, 4, 5, 6]]);
    const [tasks] = bench.given;
    expect(new Set(tasks!.map(({ outputs }) => outputs[0])).size).toBe(1);
    expect(tasks!.map(({ awaits }) => awaits!.arrival)).toEqual([3, 4, 5, 6].map((step) => signalOf(step)));
    expect(tasks!.map(({ announcement }) => announcement!.work.step)).toEqual([3, 4, 5, 6]);
    await bench.end(announced, announced, announced, announced);
    // The sums before the last have been read, or the parameters for it would not have come.
    expect(bench.sums.map(({ step, sum }) => [step, sum.announced])).toEqual([[6, true]]);
  });

  it("go on elsewhere where the thread was interrupted; the sum before stays where it is", async () => {
    bench.share();
    bench.assign(0, 3);
    await bench.end(announced, "put off");
    expect(bench.series).toEqual([
      [0, 1, 2],
      [1, 2],
    ]);
    expect(bench.sums.map(({ step }) => step)).toEqual([0]);
    expect(bench.given[1]![0]!.outputs[0]).not.toBe(bench.given[0]![0]!.outputs[0]);
  });

  it("end where one could not be announced", async () => {
    bench.share();
    bench.assign(0, 3);
    await bench.end(announced, { microseconds: 1, announced: false, calls: [] });
    expect(bench.sums.map(({ step, sum }) => [step, sum.announced])).toEqual([[1, false]]);
    expect(bench.series[1]).toEqual([2]);
  });

  it("leave out what is over", async () => {
    bench.share();
    bench.assign(0, 3);
    await bench.end("too late", announced, "too late");
    expect(bench.sums.map(({ step }) => step)).toEqual([1]);
    expect(bench.series).toHaveLength(1);
    bench.pool.release("train", bench.sums[0]!.sum.buffer);
    bench.assign(3, 1);
    await bench.end("too late");
    expect(bench.sums).toHaveLength(1);
  });

  it("are never two of the same work, whose first sum may not have been read", async () => {
    bench.share();
    bench.assign(0, 1);
    bench.assign(1, 1);
    bench.assign(2, 1, [[0, 2]]);
    bench.assign(2, 2, [[2, 3]]);
    await bench.end(announced);
    await bench.end(announced);
    expect(bench.series).toEqual([[0], [1], [2], [2, 3]]);
  });

  it("are one where sums are sent", () => {
    bench.assign(0, 3);
    expect(bench.series).toEqual([[0], [1]]);
  });

  it("are one where a work is several", () => {
    bench.share();
    bench.assign(0, 3, [
      [0, 2],
      [2, 3],
    ]);
    expect(bench.series).toEqual([[0], [0]]);
  });
});

it("a sum says how long it took, without what the sum before it took", async () => {
  const bench = await PoolBench.open();
  bench.assign(0, 1, [
    [0, 2],
    [2, 3],
  ]);
  const taken = { microseconds: 10_000, announced: false, calls: [] };
  await bench.end(taken);
  await bench.end(taken);
  expect(bench.sums.map(({ sum }) => sum.computeMicroseconds)).toEqual([10_000, 10_000]);
});
