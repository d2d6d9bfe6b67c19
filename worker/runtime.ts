/**
 * Performs what the worker's core asks for: connects, sends, prepares, computes. The bytes of a step are with exchange.ts; the core
 * decides.
 */
import { randomBytes } from "node:crypto";
import type { Cancel, Clock } from "../shared/clock.ts";
import { LockstepError, unreachable } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { decodeFrame, encodeFrame } from "../shared/protocol/codec.ts";
import type { Frame } from "../shared/protocol/codec.ts";
import { NONCE_BYTES } from "../shared/protocol/handshake.ts";
import type { Room } from "../shared/protocol/frame-reader.ts";
import { Inbox } from "../shared/protocol/inbox.ts";
import type { CoordinatorMessage, RunPlan, Welcome } from "../shared/protocol/messages.ts";
import { checkCoordinatorMessage, printed } from "../shared/protocol/validate.ts";
import type { Client, ClientListener } from "./client.ts";
import type { ComputePool } from "../shared/compute/pool.ts";
import { initialWorkerState } from "./core/state.ts";
import type { WorkerEffect, WorkerEvent, WorkerSettings, WorkerState } from "./core/state.ts";
import { transition } from "./core/transition.ts";
import { Exchange } from "./exchange.ts";

const TICK_EVERY = 250;

export interface WorkerOptions {
  readonly settings: WorkerSettings;
  readonly clock: Clock;
  /** Opens a connection to the coordinator. */
  readonly connect: (listener: ClientListener) => Client;
  /** Reads a plan's data and starts what computes it. @param isApart whether no memory will be shared with the coordinator */
  readonly openPool: (plan: RunPlan, isApart: boolean) => Promise<ComputePool>;
  /** In [0, 1), to spread reconnects. */
  readonly random: () => number;
  readonly say: Log["say"];
}

export class WorkerRuntime {
  /** Resolves when the worker has ended in good order; rejects with the error to show. */
  readonly finished: Promise<void>;
  readonly #options: WorkerOptions;
  readonly #state: WorkerState;
  readonly #exchange = new Exchange();
  readonly #stopTicks: Cancel;
  readonly #ended: { resolve: () => void; reject: (error: LockstepError) => void };
  #client: Client | undefined;
  #pool: { readonly key: string; readonly opened: Promise<ComputePool> } | undefined;
  #ready: ComputePool | undefined;
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
    for (const effect of transition(this.#state, event, this.#options.clock.now())) this.#perform(effect);
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
      case "receive": {
        if (this.#ready === undefined) return;
        const { parameters } = effect;
        const traces = this.#state.welcome?.plan.trace === true;
        const isSound = this.#exchange.receive(this.#ready, parameters, this.#section, traces);
        if (!isSound) this.#handle({ type: "damaged", version: parameters.version });
        return;
      }
      case "compute": {
        const { assignment } = effect;
        const error = this.#ready!.objectionTo(assignment);
        if (error !== undefined) {
          this.#handle({ type: "violation", error });
          return;
        }
        this.#ready!.compute(assignment, (work, sum) => {
          const { node, computeMicroseconds } = sum;
          this.#exchange.keep(work, sum);
          this.#handle({ type: "computed", work, node, computeMicroseconds });
        });
        return;
      }
      case "forget":
        this.#ready?.forget(effect.work);
        this.#exchange.forget(this.#ready, this.#client?.outbox, effect.work);
        return;
      case "deliver":
        this.#exchange.deliver(this.#ready!, this.#client?.outbox, this.#state.welcome!, effect);
        return;
      case "drop":
        this.#exchange.drop(this.#ready!, effect.work, effect.node);
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

  #connect(): void {
    if (this.#state.phase === "ended") return;
    this.#exchange.begin();
    const inbox = new Inbox(checkCoordinatorMessage);
    this.#client = this.#options.connect({
      onOpen: () => this.#handle({ type: "opened", nonce: randomBytes(NONCE_BYTES).toString("hex") }),
      onFrame: (frame) => this.#onFrame(frame, inbox),
      roomFor: (header, length) => this.#roomFor(inbox.peek(header), length),
      onBytes: () => this.#handle({ type: "heard" }),
      onUnusable: (error) => this.#handle({ type: "unusable", error }),
      onClose: (reason) => this.#handle({ type: "closed", reason, jitter: this.#options.random() }),
    });
  }

  /** Where the section that belongs to a message goes, if it is part of the parameters. */
  #roomFor(message: CoordinatorMessage | undefined, length: number): Room | undefined {
    const { phase, sharesMemory, welcome } = this.#state;
    if (phase !== "ready" || sharesMemory || this.#ready === undefined || message?.type !== "parameters")
      return undefined;
    const room = this.#exchange.roomFor(this.#ready, message, length, welcome?.plan.trace === true);
    return room && { ...room, over: () => {} };
  }

  #onFrame(frame: Frame, inbox: Inbox<CoordinatorMessage>): void {
    let message: CoordinatorMessage;
    try {
      const read = inbox.read(frame);
      ({ message } = read);
      this.#section = read.section;
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      // The next one would be the same: what is sent in it is decided when a run starts.
      if (isWelcome(frame))
        this.#handle({ type: "unusable", error: new LockstepError(error.code, error.message, defect) });
      else this.#handle({ type: "violation", error });
      return;
    }
    this.#handle({ type: "message", message });
  }

  async #prepare({ plan, run, memory }: Welcome): Promise<void> {
    const opened = this.#poolFor(plan, memory === undefined);
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
      // The next welcome may find what was missing, such as a coordinator that data can be fetched from: it opens another, whatever its plan.
      if (this.#pool?.opened === opened) this.#pool = { key: "", opened };
      if (wanted) this.#handle({ type: "unprepared", error: unusable(error) });
    }
  }

  /** The pool of this plan: kept over reconnects, replaced when the coordinator runs something else. */
  #poolFor(plan: RunPlan, isApart: boolean): Promise<ComputePool> {
    const key = JSON.stringify([plan, isApart]);
    if (this.#pool?.key !== key) {
      const closed = this.#pool?.opened.then(
        (previous) => previous.close(),
        () => {},
      );
      const open = (): Promise<ComputePool> => this.#options.openPool(plan, isApart);
      this.#pool = { key, opened: closed === undefined ? open() : closed.then(open) };
    }
    return this.#pool.opened;
  }

  async #exit(error: LockstepError | undefined): Promise<void> {
    this.#stopTicks();
    this.#client?.close();
    await (await this.#pool?.opened.catch(() => undefined))?.close();
    if (error === undefined) this.#ended.resolve();
    else this.#ended.reject(error);
  }
}

/** Whether a frame that is no message was meant as a welcome. */
function isWelcome(frame: Frame): boolean {
  try {
    const { header } = decodeFrame(frame);
    return typeof header === "object" && header !== null && "type" in header && header.type === "welcome";
  } catch (error) {
    if (error instanceof LockstepError) return false;
    throw error;
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
