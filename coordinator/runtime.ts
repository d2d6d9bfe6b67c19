/**
 * Performs what the coordinator's core asks for: sends and receives (a step's bytes: exchange/), adds, updates. It holds the
 * sockets; the core decides. Events are handled one after the other, never one inside another.
 */
import { randomBytes } from "node:crypto";
import type { Cancel, Clock } from "../shared/clock.ts";
import { LockstepError, unreachable } from "../shared/errors.ts";
import type { TreeNode } from "../shared/gradient/tree.ts";
import { workerId } from "../shared/ids.ts";
import type { WorkerId } from "../shared/ids.ts";
import { bytesOf, encodeFrame } from "../shared/protocol/codec.ts";
import type { Frame } from "../shared/protocol/codec.ts";
import { NONCE_BYTES } from "../shared/protocol/handshake.ts";
import { HEARTBEAT_EVERY } from "../shared/protocol/liveness.ts";
import type { Room } from "../shared/protocol/frame-reader.ts";
import { Inbox } from "../shared/protocol/inbox.ts";
import type { CoordinatorMessage, WorkerMessage } from "../shared/protocol/messages.ts";
import { checkWorkerMessage } from "../shared/protocol/validate.ts";
import { isSameWork } from "../shared/protocol/work-name.ts";
import { commit } from "./exchange/commit.ts";
import type { CommitParts } from "./exchange/commit.ts";
import type { CoordinatorEffect, CoordinatorEvent } from "./core/events.ts";
import type { Work } from "./core/state.ts";
import { transition } from "./core/transition.ts";
import type { RunEvent } from "./events.ts";
import { Exchange } from "./exchange/exchange.ts";
import type { ExchangeParts } from "./exchange/exchange.ts";
import { Profiler } from "./exchange/profiler.ts";
import type { Referee } from "./exchange/referee.ts";
import type { Connection, Link } from "./server/connection.ts";
import type { ServerListener } from "./server/server.ts";
import type { LineListener } from "./exchange/shared-memory.ts";

const TICK_EVERY = 100;

export interface RuntimeParts extends ExchangeParts, CommitParts {
  readonly referee: Referee;
  readonly clock: Clock;
  readonly notify: (event: RunEvent) => void;
  readonly record: (line: { readonly step: number } & Record<string, unknown>) => void;
  /** Begins to write a checkpoint of the current parameters; they may change as soon as it returns. */
  readonly checkpoint: (onFailed: () => void) => void;
  /** Begins to keep the current parameters as the best so far; they may change as soon as it returns. */
  readonly keepBest: () => void;
}

/** `begin` and `end` are times of the runtime's clock. */
export type EffectObserver = (effect: CoordinatorEffect, begin: number, end: number) => void;

export class CoordinatorRuntime implements ServerListener {
  /** How the run ended; it never rejects. */
  readonly finished: Promise<"completed" | "stopped" | LockstepError>;
  readonly profiler: Profiler;
  readonly #parts: RuntimeParts;
  readonly #exchange: Exchange;
  readonly #observers = new Set<EffectObserver>();
  readonly #finish: (outcome: "completed" | "stopped" | LockstepError) => void;
  readonly #connections = new Map<WorkerId, Connection>();
  readonly #timers: readonly Cancel[];
  readonly #events: CoordinatorEvent[] = [];
  #handling = false;
  #accepted = 0;
  /** The section of the frame whose message the core is handling. */
  #section: Uint8Array = new Uint8Array(0);

  constructor(parts: RuntimeParts) {
    this.#parts = parts;
    this.profiler = new Profiler(parts.clock);
    this.#exchange = new Exchange(parts, this.profiler);
    const { promise, resolve } = Promise.withResolvers<"completed" | "stopped" | LockstepError>();
    this.finished = promise;
    this.#finish = resolve;
    this.#timers = [
      parts.clock.every(TICK_EVERY, () => this.#handle({ type: "tick" })),
      parts.clock.every(HEARTBEAT_EVERY, () => this.#heartbeat()),
    ];
  }

  onConnection(connection: Connection): ReturnType<ServerListener["onConnection"]> {
    this.#accepted += 1;
    const worker = workerId(`w${this.#accepted}`);
    this.#connections.set(worker, connection);
    const nonce = randomBytes(NONCE_BYTES).toString("hex");
    const { token, isLocal, isOwn } = connection;
    this.#handle({ type: "connected", worker, nonce, token, isLocal, isOwn });
    const inbox = new Inbox(checkWorkerMessage);
    return {
      onFrame: (frame) => this.#onFrame(worker, frame, inbox),
      roomFor: (header, length) =>
        this.profiler.wire(() => this.#roomFor(worker, connection, inbox.peek(header), length)),
      onBytes: () => this.#handle({ type: "heard", worker }),
      onClose: (reason) => {
        this.#connections.delete(worker);
        this.#parts.memory?.forget(worker);
        this.#handle({ type: "disconnected", worker, reason });
      },
    };
  }

  /** Nothing happens by itself any more. */
  close(): void {
    for (const cancel of this.#timers) cancel();
  }

  /** Shows what is performed, and from when to when, until the result is called. */
  observe(observer: EffectObserver): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  /** The connection of a worker as it is now; undefined when it is gone. */
  link(worker: WorkerId): Link | undefined {
    return this.#connections.get(worker)?.link();
  }

  /** Measures the round trip to a worker; `link` knows it once the answer is here. */
  ping(worker: WorkerId): void {
    this.#connections.get(worker)?.ping();
  }

  onRefused(address: string, { code, message }: LockstepError): void {
    this.#parts.notify({ type: "refused", worker: address, code, message });
  }

  /** What an operator asks for while the run goes on: a pause between steps, its end, a checkpoint now. */
  command(type: "pause" | "unpause" | "save"): void {
    this.#handle({ type });
  }

  /** Ends the run after the open step. */
  stop(reason: "user" | LockstepError): void {
    this.#handle({ type: "stop", reason });
  }

  #onFrame(worker: WorkerId, frame: Frame, inbox: Inbox<WorkerMessage>): void {
    this.profiler.received(bytesOf(frame));
    this.profiler.wire(() => {
      try {
        const { message, section } = inbox.read(frame);
        this.#section = section;
        this.#handle({ type: "message", worker, message });
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
        this.#handle({ type: "violation", worker, error });
      }
    });
  }

  /** Where the section that belongs to a message goes, if it is part of a partial that is wanted. */
  #roomFor(
    worker: WorkerId,
    connection: Connection,
    message: WorkerMessage | undefined,
    length: number,
  ): Room | undefined {
    if (message?.type !== "partial") return undefined;
    const cut = (): void => connection.cut("its place was wanted for another work while it was still sending");
    const room = this.#exchange.roomFor(worker, message, length, cut);
    // It is checked as it comes.
    return room && { ...room, came: (count) => this.profiler.wire(() => room.came(count)) };
  }

  /** Handles an event and whatever its effects cause, in order. */
  #handle(event: CoordinatorEvent): void {
    this.#events.push(event);
    if (this.#handling) return;
    this.#handling = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        for (const effect of transition(this.#parts.state, next, this.#parts.clock.now())) this.#performSeen(effect);
      }
    } finally {
      this.#handling = false;
    }
  }

  #performSeen(effect: CoordinatorEffect): void {
    if (this.#observers.size === 0) return this.#perform(effect);
    const begin = this.#parts.clock.now();
    this.#perform(effect);
    const end = this.#parts.clock.now();
    for (const observer of this.#observers) observer(effect, begin, end);
  }

  #perform(effect: CoordinatorEffect): void {
    const { reduction } = this.#parts;
    switch (effect.type) {
      case "send":
        this.#send(effect.worker, effect.message);
        return;
      case "proven":
        this.#connections.get(effect.worker)?.proven();
        return;
      case "welcome":
        this.#welcome(effect.worker, effect.proof);
        return;
      case "send-parameters": {
        const connection = this.#connections.get(effect.worker);
        if (connection !== undefined) this.#exchange.sendParameters(connection, effect);
        return;
      }
      case "send-ahead": {
        const connection = this.#connections.get(effect.worker);
        if (connection !== undefined) this.#exchange.sendAhead(connection, effect);
        return;
      }
      case "close":
        this.#connections.get(effect.worker)?.close();
        return;
      case "open":
        this.profiler.begin();
        reduction.open(effect.work);
        this.#parts.memory?.reuse();
        return;
      case "receive": {
        const event = this.#exchange.receive(effect.worker, effect.partial, this.#section);
        if (event !== undefined) this.#events.push(event);
        return;
      }
      case "compare": {
        const { work, node, workers } = effect;
        this.#events.push({ type: "compared", work, node, groups: reduction.compare(node, workers) });
        return;
      }
      case "judge":
        void this.#judge(effect.work, effect.node);
        return;
      case "fold":
        this.profiler.reduce(() => reduction.fold(effect.worker, effect.node));
        return;
      case "drop":
        reduction.drop(effect.worker, effect.node);
        return;
      case "commit":
        this.#events.unshift(this.profiler.reduce(() => commit(this.#parts, effect.work)));
        this.profiler.end(effect.work.name.kind);
        return;
      case "checkpoint": {
        const { steps } = this.#parts.state;
        this.#parts.checkpoint(() => this.#handle({ type: "unsaved", step: steps }));
        return;
      }
      case "keep-best":
        this.#parts.keepBest();
        return;
      case "record":
        this.#parts.record(effect.line);
        return;
      case "notify":
        this.#parts.notify(effect.event);
        return;
      case "finish":
        this.close();
        this.#finish(effect.outcome);
        return;
      default:
        unreachable(effect);
    }
  }

  #lineOf(worker: WorkerId): LineListener {
    const inbox = new Inbox(checkWorkerMessage);
    return {
      onFrame: (frame) => this.#onFrame(worker, frame, inbox),
      onViolation: (error) => this.#handle({ type: "violation", worker, error }),
    };
  }

  #welcome(worker: WorkerId, proof: string): void {
    const { plan, state, memory } = this.#parts;
    const connection = this.#connections.get(worker);
    if (connection === undefined) return;
    connection.proven();
    const offer = connection.isLocal ? memory?.offer(worker, this.#lineOf(worker)) : undefined;
    const shared = offer === undefined ? {} : { memory: offer };
    const packs = !connection.isLocal;
    this.#send(worker, { type: "welcome", run: state.settings.run, worker, proof, plan, packs, ...shared });
  }

  #send(worker: WorkerId, message: CoordinatorMessage): void {
    const frame = encodeFrame(message);
    this.profiler.sent(bytesOf(frame));
    this.#connections.get(worker)?.outbox.send(frame);
  }

  /** Has the coordinator's own engine compute a node of the open work. */
  async #judge(work: Work, node: TreeNode): Promise<void> {
    const { store, state, referee, reduction, notify } = this.#parts;
    let bytes: Uint8Array | undefined;
    try {
      bytes = await referee.sumOver(work, node, store.bytes, state.fingerprint);
    } catch (error) {
      // Workers can still decide.
      notify({
        type: "warning",
        code: error instanceof LockstepError ? error.code : "PARTIAL_DISPUTED",
        message: `the coordinator cannot compute a gradient: ${error instanceof Error ? error.message : String(error)}`,
      });
    }
    // Meanwhile another work may be open, whose sums over a node of the same name are others; the core looks at the name.
    const isOpen = state.work !== undefined && isSameWork(state.work.name, work.name);
    const right = bytes === undefined || !isOpen ? undefined : reduction.equalTo(node, bytes);
    this.#handle({ type: "judged", work: work.name, node, right });
  }

  #heartbeat(): void {
    for (const worker of this.#connections.keys()) this.#send(worker, { type: "heartbeat" });
  }
}
