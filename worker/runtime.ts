/**
 * Performs what the worker's core asks for: connects, sends, prepares, computes. It holds the bytes; the core decides.
 */
import { randomBytes } from "node:crypto";
import { hostMicroseconds } from "../shared/clock.ts";
import type { Cancel, Clock } from "../shared/clock.ts";
import { LockstepError, unreachable } from "../shared/errors.ts";
import { nodeKey } from "../shared/gradient/tree.ts";
import type { Log } from "../shared/log.ts";
import type { TreeNode } from "../shared/gradient/tree.ts";
import { Assembly } from "../shared/protocol/assembly.ts";
import { decodeFrame, encodeFrame, extentsBackFrom, segmentOf } from "../shared/protocol/codec.ts";
import type { Frame } from "../shared/protocol/codec.ts";
import { NONCE_BYTES } from "../shared/protocol/handshake.ts";
import type {
  CoordinatorMessage,
  EngineCall,
  Parameters,
  Partial,
  RunPlan,
  Welcome,
  WorkName,
} from "../shared/protocol/messages.ts";
import { checkCoordinatorMessage, printed } from "../shared/protocol/validate.ts";
import type { Client, ClientListener } from "./client.ts";
import type { ComputePool } from "../shared/compute/pool.ts";
import type { Sum } from "../shared/compute/queue.ts";
import { initialWorkerState } from "./core/state.ts";
import type { WorkerEffect, WorkerEvent, WorkerSettings, WorkerState } from "./core/state.ts";
import { step } from "./core/step.ts";

const TICK_EVERY = 250;

export interface WorkerOptions {
  readonly settings: WorkerSettings;
  readonly clock: Clock;
  /** Opens a connection to the coordinator. */
  readonly connect: (listener: ClientListener) => Client;
  /** Reads a plan's data and starts the threads for it. */
  readonly openPool: (plan: RunPlan) => Promise<ComputePool>;
  /** In [0, 1), to spread reconnects. */
  readonly random: () => number;
  readonly say: Log["say"];
}

/** The parameters that are arriving. */
interface Incoming {
  readonly version: number;
  readonly assembly: Assembly;
  /** When their first segment came; for a trace. */
  readonly begun: number;
}

export class WorkerRuntime {
  /** Resolves when the worker has ended in good order; rejects with the error to show. */
  readonly finished: Promise<void>;
  readonly #options: WorkerOptions;
  readonly #state: WorkerState;
  readonly #stopTicks: Cancel;
  readonly #ended: { resolve: () => void; reject: (error: LockstepError) => void };
  #client: Client | undefined;
  #pool: { readonly key: string; readonly opened: Promise<ComputePool> } | undefined;
  #ready: ComputePool | undefined;
  #incoming: Incoming | undefined;
  /** Whether all parameters of an even, or an odd version have come: what is frozen among them stays, and need not come again. */
  readonly #whole = [false, false];
  /** When the newest parameters came over the socket; for a trace. */
  #received: { readonly version: number; readonly times: readonly [number, number] } | undefined;
  /** Sums that the core has not yet said what to do with. */
  readonly #sums = new Map<string, Sum>();
  /** Buffers of sums that the coordinator reads from shared memory, wanted or not: until their work is over nobody writes there. */
  #placed: { readonly work: WorkName; readonly buffer: number }[] = [];
  /** The section of the message the core is handling. */
  #section: Uint8Array = new Uint8Array(0);

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#state = initialWorkerState(options.settings);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#ended = { resolve, reject };
    this.#stopTicks = options.clock.every(TICK_EVERY, () => this.#handle({ type: "tick" }));
    this.#handle({ type: "start" });
  }

  /** Leaves the run in good order. */
  leave(): void {
    this.#handle({ type: "leave" });
  }

  #handle(event: WorkerEvent): void {
    for (const effect of step(this.#state, event, this.#options.clock.now())) this.#perform(effect);
  }

  #perform(effect: WorkerEffect): void {
    switch (effect.type) {
      case "connect":
        this.#options.clock.after(effect.after, () => this.#connect());
        return;
      case "send":
        this.#client?.outbox.send(encodeFrame(effect.message));
        return;
      case "disconnect":
        this.#client?.terminate();
        return;
      case "prepare":
        void this.#prepare(effect.welcome);
        return;
      case "receive":
        this.#receive(effect.parameters);
        return;
      case "compute": {
        const { assignment } = effect;
        const error = this.#ready!.objectionTo(assignment);
        if (error !== undefined) {
          this.#handle({ type: "violation", error });
          return;
        }
        this.#ready!.compute(assignment, (work, sum) => {
          const { node, computeMicroseconds } = sum;
          this.#sums.set(sumKey(work, node), sum);
          this.#handle({ type: "computed", work, node, computeMicroseconds });
        });
        return;
      }
      case "forget":
        this.#forget(effect.work);
        return;
      case "deliver":
        this.#deliver(effect.work, effect.node, effect.computeMicroseconds);
        return;
      case "drop":
        this.#release(effect.work, effect.node);
        return;
      case "say":
        this.#options.say(effect.level, effect.sentence);
        return;
      case "exit":
        void this.#exit(effect.error);
        return;
      default:
        unreachable(effect);
    }
  }

  #forget(work: WorkName): void {
    this.#ready?.forget(work);
    const isOver = (placed: { readonly work: WorkName }): boolean => workKey(placed.work) === workKey(work);
    for (const { buffer } of this.#placed.filter(isOver)) this.#ready?.release(work.kind, buffer);
    this.#placed = this.#placed.filter((placed) => !isOver(placed));
    this.#client?.outbox.dropBulk(workKey(work));
  }

  #connect(): void {
    if (this.#state.phase === "ended") return;
    this.#incoming = undefined;
    this.#whole.fill(false);
    this.#client = this.#options.connect({
      onOpen: () => this.#handle({ type: "opened", nonce: randomBytes(NONCE_BYTES).toString("hex") }),
      onFrame: (frame) => this.#onFrame(frame),
      onBytes: () => this.#handle({ type: "heard" }),
      onUnusable: (error) => this.#handle({ type: "unusable", error }),
      onClose: (reason) => this.#handle({ type: "closed", reason, jitter: this.#options.random() }),
    });
  }

  #onFrame(frame: Frame): void {
    let message: CoordinatorMessage;
    try {
      const { header, section } = decodeFrame(frame);
      message = checkCoordinatorMessage(header);
      this.#section = section;
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      this.#handle({ type: "violation", error });
      return;
    }
    this.#handle({ type: "message", message });
  }

  async #prepare({ plan, run, memory }: Welcome): Promise<void> {
    const opened = this.#poolFor(plan);
    const client = this.#client;
    // Once the connection is lost the next welcome asks again, for this coordinator's memory or another's.
    const isWanted = (): boolean => this.#client === client && this.#pool?.opened === opened;
    try {
      const pool = await opened;
      const fingerprint = await pool.fingerprint();
      if (!isWanted()) return;
      const sharesMemory = pool.memory.share(run, memory);
      this.#ready = pool;
      const { dataSha256, layoutHash } = pool;
      this.#handle({ type: "prepared", dataSha256, layoutHash, fingerprint, sharesMemory });
    } catch (error) {
      const wanted = isWanted();
      // The next welcome may find what was missing, such as a coordinator that data can be fetched from.
      if (this.#pool?.opened === opened) this.#pool = undefined;
      if (wanted) this.#handle({ type: "unprepared", error: unusable(error) });
    }
  }

  /** The pool of this plan: kept over reconnects, replaced when the coordinator runs something else. */
  #poolFor(plan: RunPlan): Promise<ComputePool> {
    const key = JSON.stringify(plan);
    if (this.#pool?.key !== key) {
      const closed = this.#pool?.opened.then(
        (previous) => previous.close(),
        () => {},
      );
      const open = (): Promise<ComputePool> => this.#options.openPool(plan);
      this.#pool = { key, opened: closed === undefined ? open() : closed.then(open) };
    }
    return this.#pool.opened;
  }

  #receive({ version, segment }: Parameters): void {
    const pool = this.#ready;
    if (pool === undefined) return;
    const { parameterBytes, trainedBytes } = pool.memory;
    if (this.#incoming?.version !== version) {
      const isEnough = this.#whole[version % 2]! && segment.total === trainedBytes;
      const bytes = isEnough ? trainedBytes : parameterBytes;
      const assembly = new Assembly(pool.memory.incoming(version, bytes), "last");
      this.#incoming = { version, assembly, begun: this.#traces ? hostMicroseconds() : 0 };
    }
    switch (this.#incoming.assembly.take(segment, this.#section)) {
      case "partial":
        pool.arrived(version, this.#incoming.assembly.front);
        return;
      case "complete":
        this.#whole[version % 2] = true;
        if (this.#traces) this.#received = { version, times: [this.#incoming.begun, hostMicroseconds()] };
        pool.arrived(version);
        return;
      case "corrupt": {
        const sentence = `parameters of version ${version} arrived damaged at byte ${segment.offset}`;
        this.#handle({ type: "violation", error: new LockstepError("PROTOCOL_VIOLATION", sentence) });
      }
    }
  }

  get #traces(): boolean {
    return this.#state.welcome?.plan.trace === true;
  }

  /** What goes with a partial that this thread makes, where the plan asks for it. */
  #timing(work: WorkName, calls: readonly EngineCall[]): () => Pick<Partial, "timing"> {
    if (!this.#traces) return () => ({});
    const encode = hostMicroseconds();
    const received = this.#received?.version === work.step ? { received: this.#received.times } : {};
    this.#received = undefined;
    return () => ({ timing: { sent: hostMicroseconds(), encode, ...received, calls } });
  }

  #deliver(work: WorkName, node: TreeNode, computeMicroseconds: number): void {
    const pool = this.#ready!;
    const { run, packs } = this.#state.welcome!;
    const key = sumKey(work, node);
    const { buffer, from, until, announced, calls } = this.#sums.get(key)!;
    const timing = from === 0 ? this.#timing(work, calls) : () => ({});
    const common = { run, work, node: [node.start, node.end], computeMicroseconds } as const;
    const place = pool.memory.placeOf(work.kind, buffer);
    if (place !== undefined) {
      const { position } = place;
      if (!announced) {
        const checksum = pool.memory.checksumOf(work.kind, buffer);
        const message = { type: "placed-partial", ...common, position, checksum, ...timing() } as const;
        this.#client?.outbox.send(encodeFrame(message));
      }
      this.#sums.delete(key);
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
    this.#sums.delete(key);
    this.#client?.outbox.sendBulk(frames(), workKey(work), () => pool.release(work.kind, buffer));
  }

  #release(work: WorkName, node: TreeNode): void {
    const key = sumKey(work, node);
    this.#ready!.release(work.kind, this.#sums.get(key)!.buffer);
    this.#sums.delete(key);
  }

  async #exit(error: LockstepError | undefined): Promise<void> {
    this.#stopTicks();
    this.#client?.close();
    await (await this.#pool?.opened.catch(() => undefined))?.close();
    if (error === undefined) this.#ended.resolve();
    else this.#ended.reject(error);
  }
}

/** What is wrong with a plan, in words that may be shown although a peer chose some of them. */
function unusable(error: unknown): LockstepError {
  const [code, sentence, hint] =
    error instanceof LockstepError
      ? ([error.code, error.message, error.hint] as const)
      : (["GRAPH_INVALID", `the run's plan cannot be computed: ${String(error)}`, defect] as const);
  const lines = sentence.slice(0, 4_000).split("\n").map(printed);
  return new LockstepError(code, lines.join("\n"), hint, { cause: error });
}
const defect = "coordinator and worker must run the same Lockstep; if they do, please report this as a defect of it";

const workKey = ({ kind, step: number }: WorkName): string => `${kind} ${number}`;
const sumKey = (work: WorkName, node: TreeNode): string => `${workKey(work)} ${nodeKey(node)}`;
