/**
 * Drives the coordinator's core by hand: every call feeds one or a few events and returns the effects, one line each.
 * Workers are called a, b, c; times are milliseconds of a clock that only the test moves.
 */
import type { CoordinatorEffect, CoordinatorEvent } from "../../coordinator/core/events.ts";
import { initialState, steeringFrom } from "../../coordinator/core/initial-state.ts";
import type { CoordinatorState, Quarantine, Steering } from "../../coordinator/core/state.ts";
import type { Settings } from "../../coordinator/core/settings.ts";
import { transition } from "../../coordinator/core/transition.ts";
import type { RunEvent } from "../../coordinator/events.ts";
import { LockstepError, unreachable } from "../../shared/errors.ts";
import { nodeKey } from "../../shared/gradient/tree.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import { runId, stepNumber, workerId } from "../../shared/ids.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";
import type { CoordinatorMessage, Hello, Partial as Sum, Ready, WorkName } from "../../shared/protocol/messages.ts";

/** 16 samples in batches of 8 and 4 shards, two epochs, an evaluation of two chunks after each. */
const settings: Settings = {
  run: runId("run"),
  version: "1.0.0",
  dataSha256: "d".repeat(64),
  layoutHash: "e".repeat(64),
  batch: 8,
  shards: 4,
  epochs: 2,
  trainSamples: 16,
  testSamples: 6,
  evaluationChunk: 3,
  evaluateEvery: 1,
  measured: { metrics: [], target: { kind: "class", classes: 2 } },
  countsCorrect: true,
  schedule: { spec: { kind: "constant" }, learningRate: 0.1, batch: 8, stepsPerEpoch: 2, epochs: 2 },
  monitor: "testLoss",
  stopEarly: undefined,
  keepBest: false,
  minWorkers: 1,
  startWorkers: 1,
  gatherFor: 20_000,
  ownNames: [],
  checkpointSteps: 0,
  checkpointEvery: 0,
  exact: true,
  audit: 0,
};

const nodeOf = (key: string): TreeNode => {
  const [start, end] = key.split("-").map(Number);
  return { start: start!, end: end! };
};
const workOf = (text: string): WorkName => {
  const [kind, number] = text.split(" ");
  return { kind: kind as WorkName["kind"], step: stepNumber(Number(number)) };
};
const workText = ({ kind, step: at }: WorkName): string => `${kind} ${at}`;

/** The nonce of every challenge. */
const challenge = "a".repeat(64);

/** A segment of a partial: whole unless the test says otherwise. */
export interface PartialOptions {
  readonly work?: string;
  readonly run?: string;
  readonly segment?: Sum["segment"];
  readonly microseconds?: number;
}

export class CoordinatorTrace {
  readonly state: CoordinatorState;
  /** What workers must know. */
  token = JoinToken.none;
  now = 0;
  /** How many samples of a work are counted as right. */
  correct = 4;

  constructor(
    changes: Partial<Settings> = {},
    from: { steps?: number; steering?: Steering; fingerprint?: string; quarantined?: readonly Quarantine[] } = {},
  ) {
    const steering = from.steering ?? steeringFrom();
    const { steps = 0, fingerprint, quarantined = [] } = from;
    const started = { steps: stepNumber(steps), steering, fingerprint, quarantined, auditKey: 1 };
    this.state = initialState({ ...settings, ...changes }, started, 0);
  }

  feed(event: CoordinatorEvent): string[] {
    return this.effects(event).map(line);
  }

  /** The effects themselves, for what their lines leave out. */
  effects(event: CoordinatorEvent): CoordinatorEffect[] {
    return transition(this.state, event, this.now);
  }

  /** What is told of it, for what the lines leave out. */
  told(event: CoordinatorEvent): RunEvent[] {
    return this.effects(event).flatMap((effect) => (effect.type === "notify" ? [effect.event] : []));
  }

  connect(worker: string, { isLocal = false, isOwn = false } = {}): string[] {
    return this.feed({
      type: "connected",
      worker: workerId(worker),
      nonce: challenge,
      token: this.token,
      isLocal,
      isOwn,
    });
  }

  hello(worker: string, changes: Partial<Hello> = {}): string[] {
    const nonce = "b".repeat(64);
    const proof = this.token.proof("worker", { coordinator: challenge, worker: nonce });
    const versions = { protocol: PROTOCOL_VERSION, version: "1.0.0" };
    const hello = { type: "hello", ...versions, name: worker, threads: 1, nonce, proof } as const;
    return this.feed({ type: "message", worker: workerId(worker), message: { ...hello, ...changes } });
  }

  ready(worker: string, changes: Partial<Ready> = {}): string[] {
    const { dataSha256, layoutHash } = settings;
    const message = {
      type: "ready",
      dataSha256,
      layoutHash,
      fingerprint: "f".repeat(64),
      sharesMemory: false,
      ...changes,
    } as const;
    return this.feed({ type: "message", worker: workerId(worker), message });
  }

  /** Connects, says hello and is ready; returns what being ready caused. */
  join(worker: string, threads = 1): string[] {
    this.connect(worker);
    this.hello(worker, { threads });
    return this.ready(worker);
  }

  disconnect(worker: string): string[] {
    return this.feed({ type: "disconnected", worker: workerId(worker), reason: "gone" });
  }

  /** One segment of a partial of the open work. */
  segment(worker: string, node: string, options: PartialOptions = {}): string[] {
    const { start, end } = nodeOf(node);
    const message: Sum = {
      type: "partial",
      run: runId(options.run ?? "run"),
      work: options.work === undefined ? this.state.work!.name : workOf(options.work),
      node: [start, end],
      computeMicroseconds: options.microseconds ?? 1,
      segment: options.segment ?? { offset: 0, length: 64, total: 64, checksum: 0 },
    };
    return this.feed({ type: "message", worker: workerId(worker), message });
  }

  /** A whole partial of the open work, in shared memory. */
  placed(worker: string, node: string): string[] {
    const { start, end } = nodeOf(node);
    const named = { run: runId("run"), work: this.state.work!.name, node: [start, end] } as const;
    const message = { type: "placed-partial", ...named, computeMicroseconds: 1, position: 0, checksum: 0 } as const;
    return this.feed({ type: "message", worker: workerId(worker), message });
  }

  corrupt(worker: string, node: string): string[] {
    return this.feed({ type: "corrupt", worker: workerId(worker), work: this.state.work!.name, node: nodeOf(node) });
  }

  assembled(
    worker: string,
    node: string,
    work: string = workText(this.state.work!.name),
    finite: boolean = true,
    microseconds = 1,
  ): string[] {
    const sum = { work: workOf(work), node: nodeOf(node), finite, computeMicroseconds: microseconds };
    return this.feed({ type: "assembled", worker: workerId(worker), ...sum });
  }

  /** The sums over a node were compared: workers of equal bits stand together, as in "a b". */
  compared(node: string, ...groups: readonly string[]): string[] {
    const byBits = groups.map((group) => group.split(" ").map(workerId));
    return this.feed({ type: "compared", work: this.state.work!.name, node: nodeOf(node), groups: byBits });
  }

  /** The coordinator's own engine agrees with these workers, or cannot tell. */
  judged(node: string, right: readonly string[] | undefined): string[] {
    return this.feed({
      type: "judged",
      work: this.state.work!.name,
      node: nodeOf(node),
      right: right?.map(workerId),
    });
  }

  /** The next parameters are in place from this byte on. */
  advanced(from: number, work = this.state.work!.name): string[] {
    return this.feed({ type: "advanced", work, from });
  }

  committed(loss?: number, finite?: boolean, isAsAdvanced?: boolean): string[] {
    return this.feed(this.#commitment(loss, finite, isAsAdvanced));
  }

  /** Has all open pieces delivered by their owners and commits; returns what followed the commit. */
  finishWork(loss?: number, finite?: boolean, isAsAdvanced = false): string[] {
    this.#deliver();
    return this.committed(loss, finite, isAsAdvanced);
  }

  /** The same; returns the events of one type that followed, for what their lines leave out. */
  finishWorkFor<Type extends RunEvent["type"]>(type: Type): Extract<RunEvent, { type: Type }>[] {
    this.#deliver();
    return this.told(this.#commitment()).filter(
      (event): event is Extract<RunEvent, { type: Type }> => event.type === type,
    );
  }

  /** Time passes in small steps, in which all but `silent` send heartbeats; returns what followed. */
  pass(milliseconds: number, silent: readonly string[] = []): string[] {
    const until = this.now + milliseconds;
    const lines: string[] = [];
    while (this.now < until) {
      this.now = Math.min(until, this.now + 1_000);
      for (const { id, phase } of this.state.members.values()) {
        if (phase === "connected" || silent.includes(id)) continue;
        lines.push(...this.feed({ type: "message", worker: id, message: { type: "heartbeat" } }));
      }
      lines.push(...this.feed({ type: "tick" }));
    }
    return lines;
  }

  #deliver(): void {
    for (const piece of this.state.work!.pieces.values()) {
      if (!piece.done) this.assembled(piece.owners[0]!, nodeKey(piece.node));
    }
  }

  #commitment(loss = 8, finite = true, isAsAdvanced = false): CoordinatorEvent {
    const sums = { loss, correct: this.correct, samples: this.state.work!.samples };
    return { type: "committed", sums, finite, isAsAdvanced };
  }

  /** Who computes which node of the open work, undone ones only. */
  owners(): Record<string, string> {
    const undone = [...this.state.work!.pieces.values()].filter((piece) => !piece.done);
    return Object.fromEntries(undone.map(({ node, owners }) => [nodeKey(node), owners.join(" ")]));
  }
}

const messageLine = (message: CoordinatorMessage): string => {
  switch (message.type) {
    case "assignment":
      return `assignment ${workText(message.work)}${message.works === 1 ? "" : `+${message.works - 1}`}: ${message.nodes.map((node) => node.join("-")).join(" ")}`;
    case "answer":
      return `${message.code} ${workText(message.work)}: ${message.node.join("-")}`;
    case "refused":
      return `refused ${message.code}`;
    case "end":
      return `end ${message.reason}`;
    case "challenge":
    case "welcome":
    case "parameters":
    case "heartbeat":
      return message.type;
    default:
      return unreachable(message);
  }
};

function line(effect: CoordinatorEffect): string {
  switch (effect.type) {
    case "send":
      return `${effect.worker} ← ${messageLine(effect.message)}`;
    case "welcome":
      return `${effect.worker} ← welcome`;
    case "proven":
      return `${effect.worker} proven`;
    case "send-parameters":
      return `${effect.worker} ← parameters${effect.rest === "all" ? "" : ` ${effect.rest}`}${effect.holdsLast ? " upon the last" : ""}`;
    case "send-ahead":
      return `${effect.worker} ← ahead ${effect.from}-${effect.until ?? ""}${effect.holdsLast ? " upon the last" : ""}`;
    case "close":
      return `${effect.worker} close`;
    case "open":
    case "commit":
      return `${effect.type} ${workText(effect.work.name)}`;
    case "receive":
      return `receive ${effect.worker} ${effect.partial.node.join("-")}`;
    case "compare":
      return `compare ${effect.workers.join(" ")} ${nodeKey(effect.node)}`;
    case "judge":
      return `judge ${nodeKey(effect.node)}`;
    case "fold":
    case "drop":
      return `${effect.type} ${effect.worker} ${nodeKey(effect.node)}`;
    case "checkpoint":
    case "keep-best":
      return effect.type;
    case "record":
      return `record ${String(effect.line["type"])} ${effect.line.step}`;
    case "notify":
      return `notify ${effect.event.type}${effect.event.type === "warning" ? ` ${effect.event.code}` : ""}`;
    case "finish":
      return `finish ${effect.outcome instanceof LockstepError ? effect.outcome.code : effect.outcome}`;
    default:
      return unreachable(effect);
  }
}
