/**
 * What the coordinator's core knows: who is there, which work is open, how far the run is. Ids and counters only; big
 * buffers stay with the runtime. The core alone changes it, event by event (see transition.ts).
 */
import type { LockstepError } from "../../shared/errors.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import type { StepNumber, WorkerId } from "../../shared/ids.ts";
import type { Figures } from "../../shared/nn/metrics.ts";
import type { JoinToken } from "../../shared/protocol/handshake.ts";
import type { WorkKind, WorkName } from "../../shared/protocol/messages.ts";
import type { Settings } from "./settings.ts";
import type { Watch } from "./watch.ts";

/** A worker's connection. `joining`: welcomed, reading its data and probing its engine. */
export interface Member {
  readonly id: WorkerId;
  name: string;
  threads: number;
  phase: "connected" | "joining" | "ready";
  readonly connectedAt: number;
  /** The challenge it was sent, and the token that it must prove to know. */
  readonly nonce: string;
  readonly token: JoinToken;
  /** It comes from the coordinator's host. */
  readonly isLocal: boolean;
  /** It is one that the run starts itself, once it has proven that it may join. */
  readonly isOwn: boolean;
  lastHeard: number;
  /** Parameters need not be sent to it. */
  sharesMemory: boolean;
  /** Steps taken when it became ready. */
  since: StepNumber;
  /** After failures it is given nothing new until then, unless nobody else is there. */
  restsUntil: number;
  /** The parameters' version that was sent last. */
  sentVersion: StepNumber | undefined;
  /** The version of which it was sent the end before the step was taken, and the byte from which on. */
  sentAhead: { readonly version: StepNumber; readonly from: number } | undefined;
  /** The version that it is known to have, since it has sent of what it computed with it. */
  holds: StepNumber | undefined;
  /** Whether it is known to have had all parameters of an even, or an odd version: what is frozen among them it keeps. */
  readonly hasWhole: [boolean, boolean];
  /** What it has done of the open work. */
  effort: { shards: number; microseconds: number };
  /** Whether it has computed nothing yet: its first step builds programs and fills caches, and says nothing about its speed. */
  isCold: boolean;
  /** Since when it has had no share of a training step. */
  idleSince: number | undefined;
  /** What it has done in steps so far, until that is enough to know its speed. */
  readonly trial: { samples: number; microseconds: number };
  /** Samples a millisecond of computing, a running mean; undefined until it is known. */
  speed: number | undefined;
}

/** A subtree of the open work and who computes it. */
export interface Piece {
  readonly node: TreeNode;
  /** Empty when its owner was lost and nobody is there to take over. */
  owners: WorkerId[];
  /** The owners whose sum is here and waits to be compared with another's. */
  held: WorkerId[];
  /** Those whose sum, where it was looked at, is not finite. */
  readonly notFinite: Set<WorkerId>;
  /** Sums of different workers that must agree before one is used: 2 under audit, or when one is not finite. */
  copies: number;
  /** Whether the coordinator's own engine was asked, and cannot tell: its arithmetic is another, or it failed. */
  judge: "idle" | "asked" | "unable";
  /** Workers have differed: no sum is used that nobody confirms. */
  disputed: boolean;
  /** It waits for another worker, and that has been said. */
  waiting: boolean;
  /** The sum is used. */
  done: boolean;
  deadline: number;
}

export interface Work {
  readonly name: WorkName;
  readonly epoch: number;
  readonly offset: number;
  readonly samples: number;
  /** Number of shards it is cut into. */
  readonly shards: number;
  openedAt: number;
  readonly pieces: Map<string, Piece>;
  /** Pieces about which there is something to decide: too few owners, or sums that wait. Looked at after every event. */
  readonly unsettled: Set<Piece>;
  /** Pieces that are not done. */
  left: number;
  /**
   * Whether partials' values, and what is left whole in shared memory, are looked at only as they are added; if anything is wrong then,
   * the work begins anew.
   */
  readonly trusting: boolean;
  /** A piece had to be given to someone else: its duration says nothing about the next one's. */
  disturbed: boolean;
}

/** Sums over samples, as the metrics of a partial. */
export interface Sums {
  readonly loss: number;
  readonly correct: number;
  readonly samples: number;
  /** Of an evaluation: the sums behind its other metrics. */
  readonly evaluated?: Readonly<Record<string, ArrayLike<number>>>;
}

/** Means on the test data after an epoch. */
export interface Evaluation {
  /** Steps that were taken to the parameters it is of. */
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number | undefined;
  /** The other metrics, by name. */
  readonly figures: Figures;
}

/** What steers the run besides the parameters; it is in every checkpoint. */
export interface Steering {
  /** Sums over the running epoch's steps so far, added in the order of the steps. */
  epochSums: Sums;
  lastEvaluation: Evaluation | undefined;
  watch: Watch;
}

/** How often a worker of this name has failed; every failure counts half as much a minute later. */
interface FailureRecord {
  readonly score: number;
  readonly at: number;
}

/** A worker that sent a wrong sum; it was proved by computing the sum again. */
export interface Quarantine {
  readonly worker: string;
  /** The step of the wrong sum, and the first the worker took part in, counted from 1. */
  readonly step: number;
  readonly since: number;
}

export interface CoordinatorState {
  readonly settings: Settings;
  readonly members: Map<WorkerId, Member>;
  /** By name, as everything that outlives a connection. */
  readonly failures: Map<string, FailureRecord>;
  readonly quarantined: Map<string, Quarantine>;
  /** What has been said of workers that differ under `exact: off`, by their names: they may differ in every step. */
  readonly saidToDiffer: Set<string>;
  /** Steps whose sums were spoiled, by what and by whom. */
  readonly spoilings: Map<string, number>;
  /** Decides which partials are audited; workers don't know it. */
  readonly auditKey: number;
  /** Partials that were compared with another computation of them, and found equal. */
  audits: number;
  phase: "gathering" | "running" | "ended";
  lastTick: number;
  readonly startedAt: number;
  /** Steps taken: the parameters' version. */
  steps: StepNumber;
  /** Whether what was sent ahead of these parameters is right. */
  isAsAdvanced: boolean;
  steering: Steering;
  work: Work | undefined;
  /** The steps after the open one that are assigned already, so that workers need only parameters to begin them. */
  ahead: Work[];
  /** The step whose sums were spoiled last: taken again, it trusts nobody. */
  distrusted: StepNumber | undefined;
  /** The arithmetic of this run, given by its manifest or by its first worker. */
  fingerprint: string | undefined;
  stopRequested: LockstepError | "user" | undefined;
  /** Somebody asked for a pause. */
  pauseRequested: boolean;
  /** When it began, with no step open. */
  pausedSince: number | undefined;
  /** Somebody asked for a checkpoint. */
  saveRequested: boolean;
  waitingSaid: boolean;
  /** The one that was asked for last; `failed`: it could not be written. */
  lastCheckpoint: {
    readonly at: number;
    readonly step: number;
    /** Whether the epoch that it ends was still to be evaluated. */
    readonly owesEvaluation: boolean;
    readonly failed: boolean;
  };
  /** When and with how many steps taken this process began to train, for the rate. */
  trainingSince: { readonly at: number; readonly steps: number } | undefined;
  epochStartedAt: number;
  /** Running means of the durations of steps and of evaluations, for deadlines. */
  readonly meanDuration: Partial<Record<WorkKind, number>>;
}

/** The workers that can compute, in the order they joined. */
export const readyMembers = (state: CoordinatorState): Member[] =>
  [...state.members.values()].filter((member) => member.phase === "ready");
