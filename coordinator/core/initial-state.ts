/** What the coordinator's core knows at first: of a run, fresh or from a checkpoint, and of a connection. */
import type { StepNumber } from "../../shared/ids.ts";
import { owesEvaluation } from "./epochs.ts";
import type { CoordinatorEvent } from "./events.ts";
import type { Settings } from "./settings.ts";
import type { CoordinatorState, Member, Quarantine, Steering, Sums } from "./state.ts";
import { freshWatch } from "./watch.ts";

export const noSums: Sums = { loss: 0, correct: 0, samples: 0 };

/** Before the first step, or as a checkpoint has it. */
export const steeringFrom = (checkpoint: Partial<Steering> = {}): Steering => ({
  epochSums: noSums,
  lastEvaluation: undefined,
  watch: freshWatch,
  ...checkpoint,
});

/** The state a run starts from, fresh or from a checkpoint. */
export function initialState(
  settings: Settings,
  from: {
    readonly steps: StepNumber;
    readonly steering: Steering;
    readonly fingerprint: string | undefined;
    readonly quarantined: readonly Quarantine[];
    readonly auditKey: number;
  },
  now: number,
): CoordinatorState {
  const { steps, steering } = from;
  return {
    settings,
    members: new Map(),
    failures: new Map(),
    quarantined: new Map(from.quarantined.map((each) => [each.worker, each])),
    saidToDiffer: new Set(),
    spoilings: new Map(),
    auditKey: from.auditKey,
    audits: 0,
    phase: "gathering",
    lastTick: now,
    startedAt: now,
    steps,
    isAsAdvanced: false,
    steering,
    work: undefined,
    ahead: [],
    distrusted: undefined,
    fingerprint: from.fingerprint,
    stopRequested: undefined,
    pauseRequested: false,
    pausedSince: undefined,
    saveRequested: false,
    waitingSaid: false,
    lastCheckpoint: {
      at: now,
      step: steps,
      owesEvaluation: owesEvaluation({ settings, steps, steering }),
      failed: false,
    },
    trainingSince: undefined,
    epochStartedAt: now,
    meanDuration: {},
  };
}

/** A connection that has said nothing yet. */
export const newMember = (
  { worker, nonce, token, isLocal, isOwn }: Extract<CoordinatorEvent, { type: "connected" }>,
  steps: StepNumber,
  now: number,
): Member => ({
  id: worker,
  name: worker,
  threads: 1,
  phase: "connected",
  connectedAt: now,
  nonce,
  token,
  isLocal,
  isOwn,
  lastHeard: now,
  sharesMemory: false,
  since: steps,
  restsUntil: 0,
  sentVersion: undefined,
  sentAhead: undefined,
  holds: undefined,
  hasWhole: [false, false],
  effort: { shards: 0, microseconds: 0 },
  isCold: true,
  idleSince: undefined,
  trial: { samples: 0, microseconds: 0 },
  speed: undefined,
});
