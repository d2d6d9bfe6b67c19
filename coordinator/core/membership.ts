/** Who is let in and who is let go. Every refusal has a code and a sentence that says what to do. */
import { LockstepError } from "../../shared/errors.ts";
import type { StepNumber, WorkerId } from "../../shared/ids.ts";
import { FROZEN_AFTER, SILENCE_DEADLINE } from "../../shared/protocol/liveness.ts";
import { PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";
import type { Hello, Ready } from "../../shared/protocol/messages.ts";
import type { CoordinatorEffect } from "./events.ts";
import { quarantineError } from "./audit.ts";
import { takeFrom } from "./planning.ts";
import { readyMembers } from "./state.ts";
import type { CoordinatorState, Member } from "./state.ts";
import { noteFailure } from "./trust.ts";

/** A connection that says nothing of use for this long is closed. */
const HANDSHAKE_DEADLINE = 10_000;
/** Reading the data and probing the engine may take this long, heartbeats or not. */
const PREPARE_DEADLINE = 600_000;

/** Why a worker's hello is refused, or undefined. Before its proof it hears of versions, and of nothing else. */
export function objectionToHello(state: CoordinatorState, member: Member, hello: Hello): LockstepError | undefined {
  const { version } = state.settings;
  if (hello.protocol !== PROTOCOL_VERSION || hello.version !== version) {
    return new LockstepError(
      "VERSION_MISMATCH",
      `worker ${hello.name} is Lockstep ${hello.version} (protocol ${hello.protocol}), the coordinator is ${version} (protocol ${PROTOCOL_VERSION})`,
      `install Lockstep ${version} on the worker's machine: another version may round differently`,
    );
  }
  if (!member.token.isProven(hello.proof, "worker", { coordinator: member.nonce, worker: hello.nonce })) {
    return member.token.isNone
      ? new LockstepError(
          "TOKEN_REFUSED",
          `worker ${hello.name} was given a join token, and this coordinator has none`,
          "start the coordinator with the same token, or the worker without it",
        )
      : new LockstepError(
          "TOKEN_REFUSED",
          `worker ${hello.name} did not prove that it knows the run's join token`,
          "give it the coordinator's token, with --token-file FILE or in the variable LOCKSTEP_TOKEN",
        );
  }
  return undefined;
}

/** Why a worker that has proven that it may join is refused, or undefined. */
export function objectionToWorker(state: CoordinatorState, { name, isOwn }: Member): LockstepError | undefined {
  // Failures and quarantine go by the name: another one's must not fall on them.
  if (!isOwn && state.settings.ownNames.includes(name))
    return new LockstepError(
      "NAME_TAKEN",
      `${name} is the name of one of the workers that the run has started itself`,
      "give this worker another name, with --name",
    );
  const quarantine = state.quarantined.get(name);
  if (quarantine !== undefined) return quarantineError(name, quarantine.step);
  return state.phase === "ended" ? new LockstepError("RUN_ENDED", "the run is over") : undefined;
}

/** Why a worker that has prepared is refused, or undefined. */
export function objectionToReady(state: CoordinatorState, member: Member, ready: Ready): LockstepError | undefined {
  const { settings, fingerprint } = state;
  if (ready.dataSha256 !== settings.dataSha256) {
    return new LockstepError(
      "DATA_MISMATCH",
      `worker ${member.name} read data with SHA-256 ${ready.dataSha256}, the run trains on ${settings.dataSha256}`,
      "give the worker a copy of the coordinator's data",
    );
  }
  if (ready.layoutHash !== settings.layoutHash) {
    return new LockstepError(
      "LAYOUT_MISMATCH",
      `worker ${member.name} lays the parameters out as ${ready.layoutHash}, the coordinator as ${settings.layoutHash}`,
      "both must run the same Lockstep",
    );
  }
  if (settings.exact && fingerprint !== undefined && ready.fingerprint !== fingerprint) {
    return new LockstepError(
      "FINGERPRINT_MISMATCH",
      `worker ${member.name} computes with other bits: its probe gradient hashes to ${ready.fingerprint}, the run's to ${fingerprint}`,
      "use machines of one processor kind, or start the run with `exact: off` to admit it and give up bit-exactness",
    );
  }
  return undefined;
}

/** What is said when a worker with other arithmetic is let in, which only `exact: off` does. */
export function inexactness(state: CoordinatorState, name: string, fingerprint: string): CoordinatorEffect[] {
  if (fingerprint === state.fingerprint) return [];
  const message = `worker ${name} computes with other bits and takes part under \`exact: off\`: this run cannot be repeated to the last bit`;
  return [{ type: "notify", event: { type: "warning", code: "FINGERPRINT_MISMATCH", message } }];
}

/** Tells a connection why it may not stay, and closes it. */
export function refuse(
  state: CoordinatorState,
  worker: WorkerId,
  error: LockstepError,
  now: number,
): CoordinatorEffect[] {
  const { code, message, hint } = error;
  const name = state.members.get(worker)?.name ?? worker;
  return [
    { type: "send", worker, message: { type: "refused", code, message, hint } },
    { type: "close", worker },
    { type: "notify", event: { type: "refused", worker: name, code, message } },
    ...lose(state, worker, `refused: ${code}`, now),
  ];
}

/**
 * Lets go whoever is here under a name that has been quarantined since: a worker that comes again while its old connection still
 * counts has several, and its sums are worth no more over another one.
 */
export function refuseTheQuarantined(state: CoordinatorState, now: number): CoordinatorEffect[] {
  if (state.quarantined.size === 0) return [];
  return [...state.members.values()].flatMap(({ id, name, phase }): CoordinatorEffect[] => {
    // Who has said no hello has no name yet but its connection's own.
    const quarantine = phase === "connected" ? undefined : state.quarantined.get(name);
    return quarantine === undefined ? [] : refuse(state, id, quarantineError(name, quarantine.step), now);
  });
}

/** The reason of a worker that goes in good order. */
export const LEFT = "left";

/** Takes a member out; what it had not finished is given to others by `settlePieces`, which runs after every event. */
export function lose(state: CoordinatorState, worker: WorkerId, reason: string, now: number): CoordinatorEffect[] {
  const member = state.members.get(worker);
  if (member === undefined) return [];
  state.members.delete(worker);
  if (member.phase !== "ready") return [];
  if (reason !== LEFT) noteFailure(state, member, now);
  const { effects, reassigned } = takeFrom(state, worker);
  const workers = readyMembers(state).length;
  return [
    { type: "notify", event: { type: "worker-lost", worker: member.name, reason, reassigned, workers } },
    ...effects,
  ];
}

/**
 * Parameters came to a worker damaged. Those of a version that is over were written over while they waited for it (exchange/outgoing.ts):
 * it has stood still, and nobody needs what it makes of them. Others never are, but by a machine that fails.
 */
export function onDamaged(
  state: CoordinatorState,
  { id }: Member,
  version: StepNumber,
  now: number,
): CoordinatorEffect[] {
  if (version < state.steps) return [];
  return [
    { type: "close", worker: id },
    ...lose(state, id, `parameters of step ${version + 1} came to it damaged`, now),
  ];
}

/** Closes connections that are silent or never became workers. */
export function loseTheSilent(state: CoordinatorState, now: number): CoordinatorEffect[] {
  // While this process did not run itself, it could hear nobody.
  const gap = now - state.lastTick;
  state.lastTick = now;
  if (gap > FROZEN_AFTER) {
    for (const member of state.members.values()) member.lastHeard = Math.min(now, member.lastHeard + gap);
  }
  return [...state.members.values()].flatMap((member): CoordinatorEffect[] => {
    if (member.phase === "connected" && now - member.connectedAt > HANDSHAKE_DEADLINE) {
      const seconds = HANDSHAKE_DEADLINE / 1000;
      const sentence = `no hello within ${seconds} s of connecting`;
      return refuse(state, member.id, new LockstepError("HANDSHAKE_TIMEOUT", sentence), now);
    }
    if (member.phase === "joining" && now - member.connectedAt > PREPARE_DEADLINE) {
      const sentence = `worker ${member.name} did not become ready within ${PREPARE_DEADLINE / 60_000} minutes`;
      return refuse(state, member.id, new LockstepError("HANDSHAKE_TIMEOUT", sentence), now);
    }
    if (now - member.lastHeard > SILENCE_DEADLINE) {
      return [
        { type: "close", worker: member.id },
        ...lose(state, member.id, `silent for ${SILENCE_DEADLINE / 1000} s`, now),
      ];
    }
    return [];
  });
}
