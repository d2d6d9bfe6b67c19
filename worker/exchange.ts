/**
 * The bytes of a step at a worker: parameters that arrive, sums that leave. It holds what is on its way; the core decides what
 * becomes of a sum.
 */
import { hostMicroseconds } from "../shared/clock.ts";
import type { ComputePool } from "../shared/compute/pool.ts";
import type { Sum } from "../shared/compute/queue.ts";
import { nodeKey } from "../shared/gradient/tree.ts";
import type { TreeNode } from "../shared/gradient/tree.ts";
import { Assembly } from "../shared/protocol/assembly.ts";
import { encodeFrame, extentsBackFrom, segmentOf } from "../shared/protocol/codec.ts";
import type { Frame } from "../shared/protocol/codec.ts";
import type { Place } from "../shared/protocol/frame-reader.ts";
import type { EngineCall, Parameters, Partial, Welcome, WorkName } from "../shared/protocol/messages.ts";
import type { Outbox } from "../shared/protocol/outbox.ts";
import type { WorkerEffect } from "./core/state.ts";

/** The parameters that are arriving. */
interface Incoming {
  readonly version: number;
  readonly assembly: Assembly;
  /** When their first segment came; for a trace. */
  readonly begun: number;
}

export class Exchange {
  #incoming: Incoming | undefined;
  /** Whether all parameters of an even, or an odd version have come: what is frozen among them stays, and need not come again. */
  readonly #whole = [false, false];
  /** When the newest parameters came over the socket; for a trace. */
  #received: { readonly version: number; readonly times: readonly [number, number] } | undefined;
  /** Sums that the core has not yet said what to do with. */
  readonly #sums = new Map<string, Sum>();
  /** Buffers of sums that the coordinator reads from shared memory, wanted or not: until their work is over nobody writes there. */
  #placed: { readonly work: WorkName; readonly buffer: number }[] = [];

  /** The connection is a new one: nothing has come over it. */
  begin(): void {
    this.#incoming = undefined;
    this.#whole.fill(false);
  }

  /** Where a segment of parameters may be put as it comes. @param received bytes that come */
  roomFor(pool: ComputePool, parameters: Parameters, received: number, traces: boolean): Place | undefined {
    return this.#arriving(pool, parameters, traces).assembly.roomFor(parameters.segment, received);
  }

  /** Takes a segment of parameters. False if it is damaged. */
  receive(pool: ComputePool, parameters: Parameters, section: Uint8Array, traces: boolean): boolean {
    const { version, segment } = parameters;
    const { assembly, begun } = this.#arriving(pool, parameters, traces);
    const taken = assembly.take(segment, section);
    if (taken === "corrupt") return false;
    if (taken === "complete") {
      this.#whole[version % 2] = true;
      if (traces) this.#received = { version, times: [begun, hostMicroseconds()] };
    }
    pool.arrived(version, taken === "complete" ? undefined : assembly.front);
    return true;
  }

  #arriving(pool: ComputePool, { version, segment }: Parameters, traces: boolean): Incoming {
    if (this.#incoming?.version === version) return this.#incoming;
    const { parameterBytes, trainedBytes } = pool.memory;
    const isEnough = this.#whole[version % 2]! && segment.total === trainedBytes;
    const bytes = isEnough ? trainedBytes : parameterBytes;
    const assembly = new Assembly(pool.memory.incoming(version, bytes), "last");
    return (this.#incoming = { version, assembly, begun: traces ? hostMicroseconds() : 0 });
  }

  /** Keeps a sum until it is delivered or dropped. */
  keep(work: WorkName, sum: Sum): void {
    this.#sums.set(sumKey(work, sum.node), sum);
  }

  /** Sends a sum, or says where in shared memory it lies. */
  deliver(
    pool: ComputePool,
    outbox: Outbox | undefined,
    { run, packs, plan }: Welcome,
    { work, node, computeMicroseconds }: Extract<WorkerEffect, { type: "deliver" }>,
  ): void {
    const { buffer, from, until, announced, calls } = this.#take(work, node);
    const timing = from === 0 && plan.trace ? this.#timing(work, calls) : () => ({});
    const common = { run, work, node: [node.start, node.end], computeMicroseconds } as const;
    const place = pool.memory.placeOf(work.kind, buffer);
    if (place !== undefined) {
      const { position } = place;
      if (!announced) {
        const checksum = pool.memory.checksumOf(work.kind, buffer);
        const message = { type: "placed-partial", ...common, position, checksum, ...timing() } as const;
        outbox?.send(encodeFrame(message));
      }
      this.#placed.push({ work, buffer });
      return;
    }
    function* frames(): Generator<Frame> {
      const vector = pool.memory.outgoing(work.kind, buffer);
      for (const extent of extentsBackFrom(until, packs, from)) {
        const { segment, section } = segmentOf(vector, extent, packs);
        yield encodeFrame({ type: "partial", ...common, segment, ...(extent.offset === 0 ? timing() : {}) }, section);
      }
    }
    outbox?.sendBulk(frames(), workKey(work), () => pool.release(work.kind, buffer));
  }

  /** What goes with a partial that this thread makes, where the plan asks for it. */
  #timing(work: WorkName, calls: readonly EngineCall[]): () => Pick<Partial, "timing"> {
    const encode = hostMicroseconds();
    const received = this.#received?.version === work.step ? { received: this.#received.times } : {};
    this.#received = undefined;
    return () => ({ timing: { sent: hostMicroseconds(), encode, ...received, calls } });
  }

  /** A sum is not wanted: its buffer is free. */
  drop(pool: ComputePool, work: WorkName, node: TreeNode): void {
    pool.release(work.kind, this.#take(work, node).buffer);
  }

  /** A work is over: nobody reads its sums any more, and none of them is sent. */
  forget(pool: ComputePool | undefined, outbox: Outbox | undefined, work: WorkName): void {
    const isOver = (placed: { readonly work: WorkName }): boolean => workKey(placed.work) === workKey(work);
    for (const { buffer } of this.#placed.filter(isOver)) pool?.release(work.kind, buffer);
    this.#placed = this.#placed.filter((placed) => !isOver(placed));
    outbox?.dropBulk(workKey(work));
  }

  #take(work: WorkName, node: TreeNode): Sum {
    const key = sumKey(work, node);
    const sum = this.#sums.get(key)!;
    this.#sums.delete(key);
    return sum;
  }
}

const workKey = ({ kind, step }: WorkName): string => `${kind} ${step}`;
const sumKey = (work: WorkName, node: TreeNode): string => `${workKey(work)} ${nodeKey(node)}`;
