/** A reduction over small partials in an arena of its own, and the oracle of what it must give. */
import type { Piece, Work } from "../../coordinator/core/state.ts";
import { Crew, CREW_BYTES } from "../../coordinator/crew/crew.ts";
import { Reduction, reductionBytes } from "../../coordinator/reduction/reduction.ts";
import { partialLayouts, vectorBytes } from "../../shared/gradient/partial.ts";
import { childrenOf } from "../../shared/gradient/tree.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import { runId, stepNumber, workerId } from "../../shared/ids.ts";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import type { Kernels } from "../../shared/kernels/index.ts";
import { blockwiseChecksum } from "../../shared/memory/blocks.ts";
import { Arena } from "../../shared/memory/arena.ts";
import type { Room } from "../../shared/protocol/frame-reader.ts";
import { SEGMENT_BYTES } from "../../shared/protocol/messages.ts";
import type { Partial, WorkKind, WorkName } from "../../shared/protocol/messages.ts";
import { vectorOf } from "./vector.ts";

/** A model of 262,160 floats: its partials take two segments. */
const layouts = partialLayouts(
  [
    { name: "0.weight", shape: [SEGMENT_BYTES / 4] },
    { name: "0.bias", shape: [3] },
  ],
  ["loss"],
);

export class ReductionBench {
  readonly reduction: Reduction;
  readonly #arena: Arena;
  readonly #kernels: Kernels;
  readonly #crew: Crew;
  /** A worker's slots, one a node. */
  readonly #slots = new Map<string, number>();
  readonly #sums = new Map<string, Float32Array>();
  #work: WorkName = { kind: "train", step: stepNumber(0) };
  #opened: Work | undefined;
  #shards = 1;

  /** The arena has no room to spare: a buffer too many throws. */
  constructor(shards: Readonly<Record<WorkKind, number>>) {
    const slots = 2 * shards.train * vectorBytes(layouts.partial.train);
    this.#arena = new Arena(CREW_BYTES + reductionBytes(layouts, shards) + slots);
    this.#kernels = instantiateKernels(this.#arena.memory);
    this.#crew = new Crew(this.#arena, this.#kernels, {
      spec: { kind: "sgd", learningRate: 1 },
      surroundings: { layout: layouts.parameters },
    });
    this.reduction = new Reduction(this.#arena, this.#kernels, this.#crew, layouts, shards);
  }

  /** @param left how many partials it is in */
  open(kind: WorkKind, step: number, shards: number, trusting = false, left = 1): void {
    this.#work = { kind, step: stepNumber(step) };
    this.#shards = shards;
    this.#sums.clear();
    const rest = {
      epoch: 0,
      offset: 0,
      samples: shards,
      openedAt: 0,
      disturbed: false,
      trusting,
      pieces: new Map(),
      unsettled: new Set<Piece>(),
      left,
    };
    this.#opened = { name: this.#work, shards, ...rest };
    this.reduction.open(this.#opened);
  }

  /** Sends a partial, or its first `segments` segments, or those from `back` on, from the last one on; returns what was said of the last. */
  send(
    worker: string,
    node: TreeNode,
    options: { segments?: number; back?: number; damaged?: boolean; sum?: Float32Array } = {},
  ): string {
    const sum = options.sum ?? this.sumOver(node);
    const bytes = new Uint8Array(sum.buffer, 0, sum.byteLength);
    const count = Math.ceil(bytes.length / SEGMENT_BYTES);
    let said = "";
    const indices = Array.from({ length: count }, (_, index) => index);
    const { segments = count, back } = options;
    for (const index of back === undefined ? indices.slice(0, segments) : indices.slice(back).toReversed()) {
      const { partial, section } = this.#segment(node, bytes, index);
      if (options.damaged === true) section[0]! ^= 1;
      said = this.reduction.take(workerId(worker), partial, section);
    }
    return said;
  }

  #segment(node: TreeNode, bytes: Uint8Array, index: number): { partial: Partial; section: Uint8Array } {
    const section = bytes.slice(index * SEGMENT_BYTES, (index + 1) * SEGMENT_BYTES);
    const segment = {
      offset: index * SEGMENT_BYTES,
      length: section.length,
      total: bytes.length,
      checksum: vectorOf(section).checksum(0, section.length).value,
    };
    const header = { type: "partial", run: runId("run"), work: this.#work, node: [node.start, node.end] } as const;
    return { partial: { ...header, computeMicroseconds: 0, segment }, section };
  }

  /**
   * Begins to send a segment of a partial to where it belongs, if there is room.
   * @returns the room, and what sends the rest of the segment to it and says what was said of that
   */
  begin(
    worker: string,
    node: TreeNode,
    index: number,
    cut = (): void => {},
  ): { room: Room; end: () => string } | undefined {
    const { partial, section } = this.#segment(node, new Uint8Array(this.sumOver(node).buffer), index);
    const room = this.reduction.roomFor(workerId(worker), partial, section.length, cut);
    if (room === undefined) return undefined;
    const end = (): string => {
      room.bytes.set(section);
      room.came(section.length);
      const said = this.reduction.take(workerId(worker), partial, room.bytes);
      room.over();
      return said;
    };
    return { room, end };
  }

  /** Leaves a partial in memory that is shared; returns what was said of it. */
  place(worker: string, node: TreeNode, options: { damaged?: boolean; missing?: boolean } = {}): string {
    const sum = this.sumOver(node);
    const slot = `${worker} ${node.start}-${node.end}`;
    const place = this.#slots.get(slot) ?? this.#arena.allocate(4 * sum.length);
    this.#slots.set(slot, place);
    const floats = this.#arena.floats(place, sum.length);
    floats.set(sum);
    const checksum = blockwiseChecksum(this.#kernels, place, 4 * sum.length);
    if (options.damaged === true) new Uint8Array(floats.buffer, place)[1]! ^= 1;
    const header = { type: "placed-partial", run: runId("run"), work: this.#work } as const;
    const named = { ...header, node: [node.start, node.end], computeMicroseconds: 0, position: 0, checksum } as const;
    return this.reduction.takePlaced(workerId(worker), named, options.missing === true ? undefined : place);
  }

  fold(worker: string, node: TreeNode): void {
    this.#opened!.left -= 1;
    this.reduction.fold(workerId(worker), node);
  }

  /** More of the end of the sum, as the step has it: where it begins, and its bits. @param fails whether it cannot be used */
  tail(fails = false): { from: number; bits: Buffer } | undefined {
    let bits = Buffer.alloc(0);
    const used = this.reduction.useTail(({ root, additions, from, until }) => {
      this.#crew.run({ additions, first: from, count: until });
      bits = Buffer.from(this.#arena.bytes(root + 4 * from, 4 * (until - from)).slice());
      return !fails;
    });
    return used === undefined ? undefined : { from: used, bits };
  }

  drop(worker: string, node: TreeNode): void {
    this.reduction.drop(workerId(worker), node);
  }

  compare(workers: string, node: TreeNode): string[] {
    return this.reduction.compare(node, workers.split(" ").map(workerId)).map((group) => group.join(" "));
  }

  equalTo(node: TreeNode, sum: Float32Array): string {
    return this.reduction.equalTo(node, new Uint8Array(sum.buffer)).join(" ");
  }

  isFinite(worker: string, node: TreeNode): boolean {
    return this.reduction.isFinite(workerId(worker), node);
  }

  /** Who has left damaged partials, as far as they were added; with `step`, the last additions are done as a step does them. */
  culprits(step = false): string {
    if (step) {
      const { additions, checks } = this.reduction.totalFrom(layouts.parameters.trained);
      const { damaged } = this.#crew.run({ additions, checks, count: layouts.parameters.trained });
      this.reduction.settle(checks!, damaged);
    }
    return this.reduction.culprits.join(" ");
  }

  /** The bits the finished reduction holds. */
  result(): Buffer {
    return Buffer.from(this.#arena.bytes(this.reduction.totalFrom(0).root, 4 * this.#layout().size)).subarray();
  }

  /** The oracle: float32 sums by recursion along the tree, from a vector of very different numbers for every shard. */
  sumOver(node: TreeNode = { start: 0, end: this.#shards }): Float32Array {
    const key = `${node.start}-${node.end}`;
    let sum = this.#sums.get(key);
    if (sum === undefined) {
      const children = childrenOf(node);
      if (children === undefined) {
        const { size } = this.#layout();
        const from = Math.sin(1 + node.start * 12.9898 + this.#work.step) * 10 ** ((node.start * 7) % 9);
        sum = Float32Array.from({ length: size }, (_, index) => from * (1 + (index % 17)));
      } else {
        const [left, right] = [this.sumOver(children[0]), this.sumOver(children[1])];
        sum = left.map((value, index) => value + right[index]!);
      }
      this.#sums.set(key, sum);
    }
    return sum;
  }

  #layout(): { readonly size: number } {
    return layouts.partial[this.#work.kind];
  }
}
