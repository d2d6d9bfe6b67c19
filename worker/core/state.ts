/** What a worker's core knows, and the two closed unions of what happens to it and what it asks of its runtime. */
import type { LockstepError } from "../../shared/errors.ts";
import type { StepNumber } from "../../shared/ids.ts";
import type { JoinToken, Nonces } from "../../shared/protocol/handshake.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import type {
  Assignment,
  CoordinatorMessage,
  Parameters,
  Welcome,
  WorkerMessage,
  WorkName,
} from "../../shared/protocol/messages.ts";

export interface WorkerSettings {
  readonly name: string;
  readonly version: string;
  readonly threads: number;
  /** Milliseconds without a connection after which the worker gives up. */
  readonly patience: number;
  /** What both sides prove to know. */
  readonly token: JoinToken;
}

/** connecting → joining (connected, each proves itself) → preparing (welcomed: reads data, probes the engine) → ready → ended. */
type WorkerPhase = "connecting" | "joining" | "preparing" | "ready" | "ended";

export interface WorkerState {
  readonly settings: WorkerSettings;
  phase: WorkerPhase;
  /** Failed attempts to connect since the last success, and when the first of them was. */
  failures: number;
  failingSince: number | undefined;
  connectedAt: number;
  /** This worker's nonce for this connection, and with the coordinator's once its challenge is here. */
  nonce: string;
  nonces: Nonces | undefined;
  lastHeard: number;
  lastSent: number;
  lastTick: number;
  welcome: Welcome | undefined;
  /** Whether the coordinator's parameters are also this worker's, in shared memory. */
  sharesMemory: boolean;
  /** What is assigned and not known to be over, in the order of the works. Results of anything else are dropped. */
  works: WorkName[];
}

export type WorkerEvent =
  | { type: "start" }
  /** `nonce` is fresh, for the hello. */
  | { type: "opened"; nonce: string }
  /** The connection could not be made or is gone. `jitter` in [0, 1) spreads reconnects. */
  | { type: "closed"; reason: string; jitter: number }
  /** There can be no connection, however often it is tried. */
  | { type: "unusable"; error: LockstepError }
  | { type: "message"; message: CoordinatorMessage }
  /** Bytes have come, of a message that is not whole yet. */
  | { type: "heard" }
  /** Parameters came damaged. */
  | { type: "damaged"; version: StepNumber }
  /** Bytes that are no message: the connection cannot be trusted any more. */
  | { type: "violation"; error: LockstepError }
  | { type: "prepared"; dataSha256: string; layoutHash: string; fingerprint: string; sharesMemory: boolean }
  /** The data or the model cannot be used here. */
  | { type: "unprepared"; error: LockstepError }
  /** A sum over a subtree is there, or more of it than before. */
  | { type: "computed"; work: WorkName; node: TreeNode; computeMicroseconds: number }
  /** Time passes; a few times a second unless this process is kept from running. */
  | { type: "tick" }
  /** Leave in good order: by the user or by the parent process. */
  | { type: "leave" };

export type WorkerEffect =
  | { type: "connect"; after: number }
  | { type: "send"; message: WorkerMessage }
  | { type: "disconnect" }
  /** Read the data, build the programs, probe the engine, take the memory if it can be had, then say `prepared`. */
  | { type: "prepare"; welcome: Welcome }
  /** Take the bytes that came with this message. */
  | { type: "receive"; parameters: Parameters }
  /** Compute this as soon as its parameters are here. */
  | { type: "compute"; assignment: Assignment }
  /** Forget a work: what is queued, what is being computed, and what waits to be sent. */
  | { type: "forget"; work: WorkName }
  /** Send the sum over a subtree, or what there is of it, and free its buffer. */
  | { type: "deliver"; work: WorkName; node: TreeNode; computeMicroseconds: number }
  /** Free the buffer of a result nobody wants. */
  | { type: "drop"; work: WorkName; node: TreeNode }
  | { type: "say"; level: "info" | "warn"; sentence: string }
  /** End the process: in good order, or with the error to show. */
  | { type: "exit"; error: LockstepError | undefined };

export const initialWorkerState = (settings: WorkerSettings): WorkerState => ({
  settings,
  phase: "connecting",
  failures: 0,
  failingSince: undefined,
  connectedAt: 0,
  nonce: "",
  nonces: undefined,
  lastHeard: 0,
  lastSent: 0,
  lastTick: 0,
  welcome: undefined,
  sharesMemory: false,
  works: [],
});
