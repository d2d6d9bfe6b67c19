/**
 * The properties, as book-keeping: which samples each position of an epoch held when it was computed, which shards were
 * folded into the open work, and which steps were taken. Whatever does not add up throws.
 */
import type { Work } from "../../coordinator/core/state.ts";
import { totalSteps } from "../../coordinator/core/epochs.ts";
import { cutIntoShards } from "../../shared/gradient/plan.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import type { ComputeTask } from "../../shared/compute/task.ts";
import { job, SAMPLES } from "./job.ts";

export class Ledger {
  /** What the arithmetic was really given at each position of each epoch. */
  readonly #sampleAt = new Map<string, number>();
  /** Samples of each step, as committed last: after a restart steps are taken again. */
  readonly #samplesOf = new Map<number, readonly number[]>();

  /** A worker has computed these samples for a task. */
  gathered({ kind, epoch, offset, first }: ComputeTask, samples: readonly number[]): void {
    samples.forEach((sample, row) => {
      const place = `${kind} epoch ${epoch} position ${offset + first + row}`;
      const before = this.#sampleAt.get(place) ?? sample;
      if (before !== sample) throw new Error(`${place} was sample ${before} and is now ${sample}`);
      this.#sampleAt.set(place, sample);
    });
  }

  /** Begins the life of one coordinator process, which goes on from `steps` steps. */
  life(steps: number): Life {
    return new Life(steps, (work, step) => this.#samplesOf.set(step, this.#samplesIn(work)));
  }

  #samplesIn({ name, epoch, offset, samples }: Work): number[] {
    return Array.from({ length: samples }, (_, row) => {
      const place = `${name.kind} epoch ${epoch} position ${offset + row}`;
      const sample = this.#sampleAt.get(place);
      if (sample === undefined) throw new Error(`${place} was committed and never computed`);
      return sample;
    });
  }

  /** Throws unless every epoch used every sample exactly once. */
  checkEpochs(): void {
    const perEpoch = totalSteps(job.settings) / job.settings.epochs;
    for (let epoch = 0; epoch < job.settings.epochs; epoch++) {
      const used = Array.from({ length: perEpoch }, (_, step) => this.#samplesOf.get(epoch * perEpoch + step) ?? []);
      const sorted = used.flat().sort((left, right) => left - right);
      const isWhole = sorted.length === SAMPLES && sorted.every((sample, index) => sample === index);
      if (!isWhole) throw new Error(`epoch ${epoch} used the samples ${sorted.join(" ")}`);
    }
  }
}

/** One coordinator process: nothing is applied twice, nothing is left out, nothing comes late. */
export class Life {
  #steps: number;
  #work: Work | undefined;
  #folded: number[] = [];
  readonly #committed: (work: Work, step: number) => void;

  constructor(steps: number, committed: (work: Work, step: number) => void) {
    this.#steps = steps;
    this.#committed = committed;
  }

  opened(work: Work): void {
    if (work.name.step !== this.#steps) {
      throw new Error(`${work.name.kind} ${work.name.step} is opened after ${this.#steps} steps`);
    }
    this.#work = work;
    this.#folded = [];
  }

  folded(worker: string, { start, end }: TreeNode): void {
    for (let shard = start; shard < end; shard++) {
      if (this.#folded.includes(shard)) throw new Error(`shard ${shard} was added twice, the second time by ${worker}`);
      this.#folded.push(shard);
    }
  }

  /** The sum of the open work is used. */
  used(): void {
    const { samples, name } = this.#work!;
    const most = name.kind === "train" ? job.settings.shards : Math.ceil(samples / job.settings.evaluationChunk);
    const shards = cutIntoShards(samples, most).sizes.length;
    if (this.#folded.length !== shards) {
      throw new Error(`${name.kind} ${name.step} was committed with ${this.#folded.length} of ${shards} shards`);
    }
  }

  /** The parameters are updated. */
  stepTaken(step: number): void {
    if (step !== this.#steps || this.#work?.name.kind !== "train" || this.#work.name.step !== step) {
      throw new Error(`step ${step} was applied after ${this.#steps} steps`);
    }
    this.#committed(this.#work, step);
    this.#work = undefined;
    this.#steps += 1;
  }
}
