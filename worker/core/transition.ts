/**
 * The worker as a state machine without input or output: an event and the time go in, the state changes, and what the
 * runtime is to do comes out. A lost connection is not an error: the worker forgets its work and connects again.
 */
import { LockstepError, unreachable } from "../../shared/errors.ts";
import { stepNumber } from "../../shared/ids.ts";
import { isTreeNode } from "../../shared/gradient/tree.ts";
import { FROZEN_AFTER, HEARTBEAT_EVERY, SILENCE_DEADLINE } from "../../shared/protocol/liveness.ts";
import { PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";
import type { Assignment, CoordinatorMessage, Welcome, WorkName } from "../../shared/protocol/messages.ts";
import { isSameWork, rankOf } from "../../shared/protocol/work-name.ts";
import type { WorkerEffect, WorkerEvent, WorkerState } from "./state.ts";

/** Heartbeats alone make no coordinator: one that has not welcomed this worker for this long is left. */
const HANDSHAKE_DEADLINE = 15_000;
const FIRST_DELAY = 100;
const LONGEST_DELAY = 2_500;

/** Handles one event at `now` (milliseconds of a clock that never goes back) and returns what to do, in order. */
export function transition(state: WorkerState, event: WorkerEvent, now: number): WorkerEffect[] {
  // Threads that were still computing when the worker ended report in vain.
  if (state.phase === "ended") return [];
  const effects = react(state, event, now);
  if (effects.some((effect) => effect.type === "send" || effect.type === "deliver")) state.lastSent = now;
  return effects;
}

function react(state: WorkerState, event: WorkerEvent, now: number): WorkerEffect[] {
  switch (event.type) {
    case "start":
      return [{ type: "connect", after: 0 }];
    case "opened":
      return onOpened(state, event.nonce, now);
    case "closed":
      return onClosed(state, event.reason, event.jitter, now);
    case "unusable":
      state.phase = "ended";
      return [{ type: "exit", error: event.error }];
    case "message":
      state.lastHeard = now;
      return onMessage(state, event.message);
    case "heard":
      state.lastHeard = now;
      return [];
    case "damaged":
      // Whether they matter still is the coordinator's to know.
      return [{ type: "send", message: { type: "damaged", version: event.version } }];
    case "violation":
      return onViolation(event.error);
    case "prepared":
      return onPrepared(state, event);
    case "unprepared": {
      const { code, message } = event.error;
      state.phase = "ended";
      return [
        { type: "send", message: { type: "failed", code, message } },
        { type: "exit", error: event.error },
      ];
    }
    case "computed":
      return onComputed(state, event);
    case "tick":
      return onTick(state, now);
    case "leave":
      state.phase = "ended";
      return [
        { type: "send", message: { type: "leave" } },
        { type: "exit", error: undefined },
      ];
    default:
      return unreachable(event);
  }
}

const onViolation = ({ message }: LockstepError): WorkerEffect[] => [
  { type: "say", level: "warn", sentence: message },
  { type: "disconnect" },
];

const isAssigned = ({ works }: WorkerState, name: WorkName): boolean => works.some((work) => isSameWork(work, name));

/** Whether there are such shards, and such nodes of their tree. */
const isComputable = ({ samples, shards, nodes }: Assignment): boolean =>
  shards <= Math.max(1, Math.floor(samples / 2)) && nodes.every(([start, end]) => isTreeNode(shards, { start, end }));

function onOpened(state: WorkerState, nonce: string, now: number): WorkerEffect[] {
  state.phase = "joining";
  state.nonce = nonce;
  state.nonces = undefined;
  state.connectedAt = now;
  state.lastHeard = now;
  return [];
}

function onChallenge(state: WorkerState, coordinator: string): WorkerEffect[] {
  const { name, version, threads, token } = state.settings;
  if (state.phase !== "joining" || state.nonces !== undefined) return onMisplaced(state, "challenge");
  const { nonce } = state;
  state.nonces = { coordinator, worker: nonce };
  const proof = token.proof("worker", state.nonces);
  const hello = { type: "hello", protocol: PROTOCOL_VERSION, version, name, threads, nonce, proof } as const;
  return [{ type: "send", message: hello }];
}

function onWelcome(state: WorkerState, welcome: Welcome): WorkerEffect[] {
  const { phase, nonces, settings } = state;
  if (phase !== "joining" || nonces === undefined) return onMisplaced(state, "welcome");
  if (!settings.token.isProven(welcome.proof, "coordinator", nonces)) {
    state.phase = "ended";
    const sentence = "the coordinator did not prove that it knows the join token; nothing was computed for it";
    const hint = "check the address: what answers there may be another program; the real one needs this worker's token";
    return [{ type: "exit", error: new LockstepError("TOKEN_REFUSED", sentence, hint) }];
  }
  state.phase = "preparing";
  state.welcome = welcome;
  return [{ type: "prepare", welcome }];
}

/** A message that no coordinator sends at this point: whoever sent it cannot be trusted. */
const onMisplaced = ({ phase }: WorkerState, type: string): WorkerEffect[] =>
  onViolation(new LockstepError("PROTOCOL_VIOLATION", `the coordinator sent a ${type} while this worker was ${phase}`));

function onClosed(state: WorkerState, reason: string, jitter: number, now: number): WorkerEffect[] {
  state.phase = "connecting";
  const forgotten = forget(state.works);
  state.works = [];
  state.sharesMemory = false;
  state.failures += 1;
  state.failingSince ??= now;
  if (now - state.failingSince > state.settings.patience) {
    state.phase = "ended";
    const seconds = Math.round(state.settings.patience / 1000);
    const sentence = `no coordinator could be reached for ${seconds} s (${state.failures} attempts; last: ${reason})`;
    const hint = "check the address, that the coordinator runs, and that its port is open";
    return [{ type: "exit", error: new LockstepError("COORDINATOR_UNREACHABLE", sentence, hint) }];
  }
  // Doubling, capped, and spread over half its length so that a hundred workers don't knock at once.
  const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (state.failures - 1)) * (0.5 + jitter / 2);
  const sentence = `not connected: ${reason}; trying again in ${(delay / 1000).toFixed(1)} s`;
  return [...forgotten, { type: "say", level: "warn", sentence }, { type: "connect", after: delay }];
}

function onMessage(state: WorkerState, message: CoordinatorMessage): WorkerEffect[] {
  switch (message.type) {
    case "challenge":
      return onChallenge(state, message.nonce);
    case "welcome":
      return onWelcome(state, message);
    case "refused": {
      const { code, message: sentence, hint } = message;
      // This process or the network was frozen on the way in; nothing is wrong with the worker.
      if (code === "HANDSHAKE_TIMEOUT") return [{ type: "say", level: "warn", sentence }, { type: "disconnect" }];
      state.phase = "ended";
      return [
        { type: "exit", error: new LockstepError(code, `the coordinator refused this worker: ${sentence}`, hint) },
      ];
    }
    case "assignment":
      if (state.phase !== "ready") return [];
      if (!isComputable(message)) {
        const sentence = `assigned nodes ${JSON.stringify(message.nodes)} of ${message.shards} shards of ${message.samples} samples`;
        return onViolation(new LockstepError("PROTOCOL_VIOLATION", sentence));
      }
      return onAssignment(state, message);
    case "parameters":
      // In shared memory they are the coordinator's to write.
      if (state.sharesMemory) return onMisplaced(state, "parameters message");
      return state.phase === "ready" ? [{ type: "receive", parameters: message }] : [];
    case "answer": {
      // Else nothing is lost: another worker's copy was used, or the step is over.
      if (message.code !== "PARTIAL_CORRUPT") return [];
      const [start, end] = message.node;
      const sentence = `the sum of shards ${start} to ${end - 1} of ${message.work.kind} step ${message.work.step} came to the coordinator damaged, and was not used [PARTIAL_CORRUPT]`;
      return [{ type: "say", level: "warn", sentence }];
    }
    case "end":
      state.phase = "ended";
      return [
        {
          type: "say",
          level: "info",
          sentence: `the run has ${message.reason === "failed" ? "failed" : `been ${message.reason}`}`,
        },
        { type: "exit", error: undefined },
      ];
    case "heartbeat":
      return [];
    default:
      return unreachable(message);
  }
}

function onPrepared(state: WorkerState, event: Extract<WorkerEvent, { type: "prepared" }>): WorkerEffect[] {
  // The connection was lost while the data was read; the next welcome asks again.
  if (state.phase !== "preparing") return [];
  state.phase = "ready";
  state.failures = 0;
  state.failingSince = undefined;
  const { dataSha256, layoutHash, fingerprint, sharesMemory } = event;
  state.sharesMemory = sharesMemory;
  const sentence = `ready to compute${sharesMemory ? ", in memory shared with the coordinator" : ""}`;
  return [
    { type: "send", message: { type: "ready", dataSha256, layoutHash, fingerprint, sharesMemory } },
    { type: "say", level: "info", sentence },
  ];
}

function onAssignment(state: WorkerState, assignment: Assignment): WorkerEffect[] {
  const { work, works } = assignment;
  const named = Array.from({ length: works }, (_, index) => ({ ...work, step: stepNumber(work.step + index) }));
  // Of what came before, only the latest can still be open when this is assigned.
  const before = state.works.filter((known) => isBefore(known, work));
  const over = before.slice(0, -1);
  const unknown = named.filter((each) => !isAssigned(state, each));
  state.works = [...state.works.filter((known) => !over.includes(known)), ...unknown].sort(inOrder);
  return [...forget(over), { type: "compute", assignment }];
}

function onComputed(
  state: WorkerState,
  { work, node, computeMicroseconds }: Extract<WorkerEvent, { type: "computed" }>,
): WorkerEffect[] {
  if (!isAssigned(state, work)) return [{ type: "drop", work, node }];
  // Its parameters were here, so what came before is over.
  const over = state.works.filter((known) => isBefore(known, work));
  state.works = state.works.filter((known) => !over.includes(known));
  return [{ type: "deliver", work, node, computeMicroseconds }, ...forget(over)];
}

const inOrder = (one: WorkName, other: WorkName): number => rankOf(one) - rankOf(other);
const isBefore = (one: WorkName, other: WorkName): boolean => inOrder(one, other) < 0;

const forget = (works: readonly WorkName[]): WorkerEffect[] => works.map((work) => ({ type: "forget", work }));

function onTick(state: WorkerState, now: number): WorkerEffect[] {
  // While it did not run itself, it could hear nobody.
  const gap = now - state.lastTick;
  state.lastTick = now;
  if (gap > FROZEN_AFTER) state.lastHeard = Math.min(now, state.lastHeard + gap);
  if (state.phase === "connecting") return [];
  if (now - state.lastHeard > SILENCE_DEADLINE) {
    const sentence = `the coordinator was silent for ${SILENCE_DEADLINE / 1000} s`;
    return [{ type: "say", level: "warn", sentence }, { type: "disconnect" }];
  }
  if (state.phase === "joining" && now - state.connectedAt > HANDSHAKE_DEADLINE) {
    const sentence = `the coordinator sent no welcome within ${HANDSHAKE_DEADLINE / 1000} s`;
    return [{ type: "say", level: "warn", sentence }, { type: "disconnect" }];
  }
  return now - state.lastSent >= HEARTBEAT_EVERY ? [{ type: "send", message: { type: "heartbeat" } }] : [];
}
