/**
 * The coordinator as a state machine without input or output: an event and the time go in, the state changes, and what
 * the runtime is to do comes out. The same core runs over real sockets and inside a simulated cluster. As in etcd's
 * raft, the state is owned and changed in place by the core, so that a step costs no copies.
 */
import { LockstepError, unreachable } from "../../shared/errors.ts";
import type { WorkerId } from "../../shared/ids.ts";
import type { WorkerMessage } from "../../shared/protocol/messages.ts";
import type { CoordinatorEffect, CoordinatorEvent } from "./events.ts";
import { onCompared, onJudged } from "./audit.ts";
import {
  inexactness,
  LEFT,
  lose,
  loseTheSilent,
  onDamaged,
  objectionToHello,
  objectionToReady,
  objectionToWorker,
  refuse,
  refuseTheQuarantined,
} from "./membership.ts";
import { onAssembled, onCorrupt, onPartial, onSpoiled } from "./partials.ts";
import { assignLatePieces } from "./planning.ts";
import { unpause } from "./pausing.ts";
import { onCommitted } from "./committed.ts";
import { proceed } from "./progress.ts";
import { sendAhead } from "./sending.ts";
import { newMember } from "./initial-state.ts";
import { settlePieces } from "./settling.ts";
import { readyMembers } from "./state.ts";
import type { CoordinatorState } from "./state.ts";
import { restsUntil } from "./trust.ts";

/** Handles one event at `now` (milliseconds of a clock that never goes back) and returns what to do, in order. */
export function transition(state: CoordinatorState, event: CoordinatorEvent, now: number): CoordinatorEffect[] {
  const effects = react(state, event, now);
  const wasOpen = state.work !== undefined;
  const next = [...proceed(state, now), ...settlePieces(state, now)];
  // Behind a commit workers wait for the next work: whoever looks on is told of the last one behind that.
  const isAwaited = event.type === "committed" && !wasOpen && state.work !== undefined;
  return isAwaited ? [...next, ...effects] : [...effects, ...next];
}

function react(state: CoordinatorState, event: CoordinatorEvent, now: number): CoordinatorEffect[] {
  switch (event.type) {
    case "connected":
      state.members.set(event.worker, newMember(event, state.steps, now));
      return [{ type: "send", worker: event.worker, message: { type: "challenge", nonce: event.nonce } }];
    case "message":
      return onMessage(state, event.worker, event.message, now);
    case "heard": {
      const member = state.members.get(event.worker);
      if (member !== undefined) member.lastHeard = now;
      return [];
    }
    case "violation":
      // Of one that is already being closed nothing is heard any more.
      return state.members.has(event.worker) ? refuse(state, event.worker, event.error, now) : [];
    case "disconnected":
      return lose(state, event.worker, event.reason, now);
    case "assembled":
      return onAssembled(state, event);
    case "corrupt":
      return onCorrupt(state, event.worker, event.work, event.node, now);
    case "compared":
      return [...onCompared(state, event.work, event.node, event.groups, now), ...refuseTheQuarantined(state, now)];
    case "judged":
      return [...onJudged(state, event.work, event.node, event.right), ...refuseTheQuarantined(state, now)];
    case "committed":
      return onCommitted(state, event, now);
    case "advanced":
      return sendAhead(state, event.work, event.from);
    case "spoiled":
      return onSpoiled(state, event.by, now);
    case "tick":
      return [...loseTheSilent(state, now), ...assignLatePieces(state, now)];
    case "stop":
      state.stopRequested ??= event.reason;
      return [];
    case "pause":
      state.pauseRequested = true;
      return [];
    case "unpause":
      return unpause(state, now);
    case "save":
      state.saveRequested = true;
      return [];
    case "unsaved":
      // Else a newer one is on its way.
      if (event.step === state.lastCheckpoint.step) state.lastCheckpoint = { ...state.lastCheckpoint, failed: true };
      return [];
    default:
      return unreachable(event);
  }
}

function onMessage(
  state: CoordinatorState,
  worker: WorkerId,
  message: WorkerMessage,
  now: number,
): CoordinatorEffect[] {
  const member = state.members.get(worker);
  // Its connection is being closed; what was still on the way changes nothing.
  if (member === undefined) return [];
  member.lastHeard = now;
  const expected = {
    hello: "connected",
    ready: "joining",
    partial: "ready",
    "placed-partial": "ready",
    damaged: "ready",
  } as const;
  const phase = message.type in expected ? expected[message.type as keyof typeof expected] : member.phase;
  // Whoever has not said hello is a stranger, whose sentences nobody should read.
  const stranger = member.phase === "connected" && message.type === "failed";
  if (phase !== member.phase || stranger) {
    const sentence = `${message.type} from worker ${member.name} while it is ${member.phase}`;
    return refuse(state, worker, new LockstepError("PROTOCOL_VIOLATION", sentence), now);
  }
  switch (message.type) {
    case "hello": {
      member.name = message.name;
      member.threads = message.threads;
      const objection = objectionToHello(state, member, message);
      if (objection !== undefined) return refuse(state, worker, objection, now);
      const unwanted = objectionToWorker(state, member);
      if (unwanted !== undefined) return [{ type: "proven", worker }, ...refuse(state, worker, unwanted, now)];
      member.phase = "joining";
      const nonces = { coordinator: member.nonce, worker: message.nonce };
      return [{ type: "welcome", worker, proof: member.token.proof("coordinator", nonces) }];
    }
    case "ready": {
      const objection = objectionToReady(state, member, message);
      if (objection !== undefined) return refuse(state, worker, objection, now);
      state.fingerprint ??= message.fingerprint;
      member.phase = "ready";
      member.sharesMemory = message.sharesMemory;
      member.since = state.steps;
      member.restsUntil = restsUntil(state, member.name);
      const workers = readyMembers(state).length;
      return [
        ...inexactness(state, member.name, message.fingerprint),
        { type: "notify", event: { type: "worker-joined", worker: member.name, workers } },
      ];
    }
    case "failed": {
      const { code, message: sentence } = message;
      return [
        { type: "notify", event: { type: "refused", worker: member.name, code, message: sentence } },
        { type: "close", worker },
        ...lose(state, worker, `failed: ${code}`, now),
      ];
    }
    case "partial":
    case "placed-partial":
      return onPartial(state, worker, message);
    case "damaged":
      return onDamaged(state, member, message.version, now);
    case "leave":
      return [{ type: "close", worker }, ...lose(state, worker, LEFT, now)];
    case "heartbeat":
      return [];
    default:
      return unreachable(message);
  }
}
