/** The coordinator's own engine in a simulation: right after a while, or of another arithmetic and unable to tell. */
import type { Referee } from "../../coordinator/exchange/referee.ts";
import type { Work } from "../../coordinator/core/state.ts";
import { vectorBytes } from "../../shared/gradient/partial.ts";
import { cutIntoShards } from "../../shared/gradient/plan.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { compute, outputBytes } from "./arithmetic.ts";
import { job } from "./job.ts";
import type { SimulatedProcess } from "./process.ts";

const { layouts } = job;

export class SimulatedReferee implements Referee {
  readonly #process: SimulatedProcess;
  readonly #isAble: boolean;

  constructor(process: SimulatedProcess, isAble: boolean) {
    this.#process = process;
    this.#isAble = isAble;
  }

  async sumOver(work: Work, node: TreeNode, parameters: Uint8Array): Promise<Uint8Array | undefined> {
    const copy = Uint8Array.from(parameters);
    const { world } = this.#process;
    await new Promise<void>((resolve) => this.#process.after(world.between(1, 3_000), resolve));
    if (!this.#isAble) return undefined;
    const { name, epoch, offset, samples, shards } = work;
    const { sizes, starts } = cutIntoShards(samples, shards);
    const sizesOfNode = sizes.slice(node.start, node.end);
    const sumBytes = vectorBytes(layouts.partial.train);
    const arena = new Arena(vectorBytes(layouts.parameters) + sizesOfNode.length * (sumBytes + 64) + 128);
    const at = arena.allocate(copy.length);
    arena.bytes(at, copy.length).set(copy);
    const task = {
      kind: name.kind,
      step: name.step,
      epoch,
      offset,
      first: starts[node.start]!,
      sizes: sizesOfNode,
      parameters: at,
      outputs: sizesOfNode.map(() => arena.allocate(sumBytes)),
    };
    world.computing += 1;
    await compute(arena.memory, task);
    world.computing -= 1;
    return arena.bytes(task.outputs[0]!, outputBytes(task));
  }

  async close(): Promise<void> {}
}
