/** Drives the worker's core by hand: every call feeds an event and returns the effects, one line each. */
import { LockstepError, unreachable } from "../../shared/errors.ts";
import { nodeKey } from "../../shared/gradient/tree.ts";
import { runId, stepNumber, workerId } from "../../shared/ids.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import type { Assignment, CoordinatorMessage, RunPlan, WorkName } from "../../shared/protocol/messages.ts";
import { initialWorkerState } from "../../worker/core/state.ts";
import type { WorkerEffect, WorkerEvent, WorkerState } from "../../worker/core/state.ts";
import { transition } from "../../worker/core/transition.ts";

/** The core looks at nothing of the plan. */
const plan = { seed: 1 } as RunPlan;

const nonces = { coordinator: "a".repeat(64), worker: "b".repeat(64) };

export class WorkerTrace {
  readonly state: WorkerState;
  now = 0;

  constructor(patience = 60_000, token = JoinToken.none) {
    this.state = initialWorkerState({ name: "a", version: "1.0.0", threads: 2, patience, token });
  }

  feed(event: WorkerEvent): string[] {
    return this.effects(event).map(line);
  }

  /** The effects themselves, for what their lines leave out. */
  effects(event: WorkerEvent): WorkerEffect[] {
    return transition(this.state, event, this.now);
  }

  message(message: CoordinatorMessage): string[] {
    return this.feed({ type: "message", message });
  }

  opened(): string[] {
    return this.feed({ type: "opened", nonce: nonces.worker });
  }

  challenge(): string[] {
    return this.message({ type: "challenge", nonce: nonces.coordinator });
  }

  /** @param token what the coordinator proves to know */
  welcome(token = this.state.settings.token): string[] {
    const proof = token.proof("coordinator", nonces);
    return this.message({ type: "welcome", run: runId("run"), worker: workerId("w1"), proof, plan, packs: false });
  }

  prepared(sharesMemory = false): string[] {
    return this.feed({ type: "prepared", dataSha256: "d", layoutHash: "e", fingerprint: "f", sharesMemory });
  }

  /** From connecting to ready. */
  join(): void {
    this.opened();
    this.challenge();
    this.welcome();
    this.prepared();
  }

  closed(): string[] {
    return this.feed({ type: "closed", reason: "gone", jitter: 1 });
  }

  assign(kind: WorkName["kind"], number: number, ...nodes: (readonly [number, number])[]): string[] {
    const work = { kind, step: stepNumber(number) };
    return this.assignMany(work, 1, nodes);
  }

  /** Nodes of some steps that follow one another. */
  assignSteps(first: number, count: number, ...nodes: (readonly [number, number])[]): string[] {
    return this.assignMany({ kind: "train", step: stepNumber(first) }, count, nodes);
  }

  private assignMany(work: WorkName, works: number, nodes: Assignment["nodes"]): string[] {
    return this.message({ type: "assignment", work, works, epoch: 0, offset: 0, samples: 8, shards: 4, nodes });
  }

  parameters(version: number): string[] {
    const segment = { offset: 0, length: 4, total: 4, checksum: 0 };
    return this.message({ type: "parameters", version: stepNumber(version), segment });
  }

  computed(kind: WorkName["kind"], number: number, start: number, end: number): string[] {
    const work = { kind, step: stepNumber(number) };
    return this.feed({ type: "computed", work, node: { start, end }, computeMicroseconds: 1 });
  }

  /** Time passes in quarter seconds; returns what the ticks caused. */
  pass(milliseconds: number): string[] {
    const lines: string[] = [];
    for (const until = this.now + milliseconds; this.now < until;) {
      this.now += 250;
      lines.push(...this.feed({ type: "tick" }));
    }
    return lines;
  }
}

const workText = ({ kind, step: at }: WorkName): string => `${kind} ${at}`;
const worksText = ({ work, works }: Assignment): string => workText(work) + (works === 1 ? "" : `+${works - 1}`);
const nodesText = ({ nodes }: Assignment): string => nodes.map((node) => node.join("-")).join(" ");

function line(effect: WorkerEffect): string {
  switch (effect.type) {
    case "connect":
      return `connect after ${effect.after}`;
    case "send":
      return `send ${effect.message.type}`;
    case "disconnect":
    case "prepare":
      return effect.type;
    case "forget":
      return `forget ${workText(effect.work)}`;
    case "receive":
      return `receive ${effect.parameters.version}`;
    case "compute":
      return `compute ${worksText(effect.assignment)}: ${nodesText(effect.assignment)}`;
    case "deliver":
    case "drop":
      return `${effect.type} ${workText(effect.work)}: ${nodeKey(effect.node)}`;
    case "say":
      return `say ${effect.sentence}`;
    case "exit":
      return `exit ${effect.error instanceof LockstepError ? effect.error.code : "in good order"}`;
    default:
      return unreachable(effect);
  }
}
