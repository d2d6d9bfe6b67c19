/**
 * Every message between coordinator and worker: one documented type each, two closed unions told apart by `type`.
 * These are the headers; tensor bytes travel behind the header in the same frame (see codec.ts).
 *
 *   worker                      coordinator
 *                      ←        challenge             (handshake.ts: who proves what)
 *     hello            →
 *                      ←        welcome | refused
 *     ready            →                              (data read, engine probed)
 *                      ←        assignment, parameters…   (once a step)
 *     partial…         →                              (one for each subtree, in segments or in shared memory)
 *                      ←        answer                (only for a partial that is not used)
 *     damaged          →                              (only for parameters that cannot be used)
 *     leave            →        end
 */
import type { ErrorCode } from "../errors.ts";
import type { RunId, StepNumber, WorkerId } from "../ids.ts";
import type { HostFileName } from "../memory/host-memory.ts";
import type { LineName } from "./line.ts";

/** Raised whenever a message or the meaning of a bit changes; both sides must have the same. */
export const PROTOCOL_VERSION = 18;

/**
 * Segments begin at multiples of so many bytes. Between hosts each has so many, so that what is computed from one can leave while
 * the next ones arrive.
 */
export const SEGMENT_BYTES = 1 << 18;

/**
 * On one host a segment has so many: each costs the processor, which computing needs, and the way costs nothing. No frame's tensor
 * section is longer, so that a heartbeat never waits behind a whole model.
 */
export const LONG_SEGMENT_BYTES = 32 * SEGMENT_BYTES;

/** Buckets of parameters but the first have at least so many bytes (shared/gradient/buckets.ts). */
export const LEAST_BUCKET_BYTES = 1 << 20;

/**
 * The most works that one assignment is for. So many that the shortest steps don't wait for assignments, each of which wakes a
 * worker; so few that a thread which must do something else in between is soon given the rest of them again.
 */
export const MOST_WORKS_AHEAD = 64;

/** The most calls of the engine that one message tells of. */
export const MOST_CALLS = 1024;

/** The most metrics, and the most classes with names, that a plan has. */
export const MOST_METRICS = 64;
export const MOST_CLASS_NAMES = 10_000;

/** The HTTP header in which a coordinator says why it does not even open a connection. */
export const REFUSAL_HEADER = "lockstep-refusal";

/** The HTTP header of a worker's requests. Scripts of web pages cannot set names that begin with `sec-`. */
export const WORKER_HEADER = "sec-lockstep-worker";

/** A step's training pass, or the evaluation of the parameters after that many steps. */
export type WorkKind = "train" | "evaluate";

/** Names one piece of lockstep work: all workers compute parts of the same one. */
export interface WorkName {
  readonly kind: WorkKind;
  /** For `train` the step to take, counted from 0; for `evaluate` the number of steps taken. Also the parameters' version. */
  readonly step: StepNumber;
}

/** First message of a coordinator, and all that it says to whoever connects. */
interface Challenge {
  readonly type: "challenge";
  /** Fresh for every connection, hex. */
  readonly nonce: string;
}

/** First message of a worker. */
export interface Hello {
  readonly type: "hello";
  readonly protocol: number;
  /** Lockstep's version: another one may round differently. */
  readonly version: string;
  /** For people: shown in logs and in the dashboard. */
  readonly name: string;
  readonly threads: number;
  /** Fresh for every connection, hex. */
  readonly nonce: string;
  /** That the worker knows the join token: `JoinToken.proof`, hex. */
  readonly proof: string;
}

/** Everything a worker needs to know of the run before it can compute. */
export interface Welcome {
  readonly type: "welcome";
  readonly run: RunId;
  readonly worker: WorkerId;
  /** That the coordinator knows the join token, hex. */
  readonly proof: string;
  readonly plan: RunPlan;
  /** Whether what is long travels packed, in short segments: between hosts, where a network is slower than that. */
  readonly packs: boolean;
  /** Offered to who connects from the same host: memory instead of the socket for all that is large. */
  readonly memory?: MemoryOffer;
}

/** Files that a worker of the same host may lay over its own memory (shared/memory/host-memory.ts). */
export interface MemoryOffer {
  /**
   * The two blocks of the coordinator's parameters, one behind the other; version v is at the start of block v mod 2. On a page
   * of its own behind them, the signal of the version that is there whole (shared/memory/signal.ts).
   */
  readonly parameters: HostFileName;
  /** This worker's alone: slots for its partials, and the line on which its threads say that one is there. */
  readonly partials: HostFileName;
  readonly line: LineName;
}

/** The run as its workers see it. The graphs and the data are checked by the worker; nothing in them is code. */
export interface RunPlan {
  readonly seed: number;
  /** Where the data comes from (a DataSpec) and what its content must hash to. */
  readonly data: unknown;
  /** The share of the training samples that is held out, by the seed. */
  readonly validation: number;
  /** MiB of features that a worker holds in memory. */
  readonly dataMemory: number;
  /** How training images are changed (AugmentSpecs). */
  readonly augment: readonly unknown[];
  readonly dataSha256: string;
  /** Encoded graphs (shared/graph/serialise.ts). */
  readonly train: unknown;
  readonly evaluate: unknown;
  /** The parameters in layout order: first those that are trained. */
  readonly parameters: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly frozen: boolean;
  }[];
  /** Hash of the parameters' layout; both sides derive the same. */
  readonly layoutHash: string;
  /** Names of the sums behind the gradients in a partial: `loss`, `correct`. */
  readonly metrics: readonly string[];
  /** The sums that an evaluation's partial has behind those, such as a confusion matrix. */
  readonly evaluated: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** Samples of the first training batch and the shards it is cut into: what the engine's probe computes. */
  readonly batch: number;
  readonly shards: number;
  /** Whether so many steps are planned that compiling their code well pays over a socket (shared/v8.ts). */
  readonly isLong: boolean;
  /** Whether partials tell when what was done for them. */
  readonly trace: boolean;
}

/** The worker has read its data and probed its engine. */
export interface Ready {
  readonly type: "ready";
  readonly dataSha256: string;
  readonly layoutHash: string;
  /** SHA-256 of a probe gradient: the worker's arithmetic. */
  readonly fingerprint: string;
  /** Whether it took the coordinator's offer of memory. */
  readonly sharesMemory: boolean;
}

/** The worker cannot take part; it says why and leaves. */
interface Failed {
  readonly type: "failed";
  readonly code: ErrorCode;
  readonly message: string;
}

/** The connection is refused or ended; the worker shows the sentence. */
interface Refused {
  readonly type: "refused";
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

/**
 * Subtrees to compute as soon as a work's parameters are here, the same ones for some steps that follow one another. It comes
 * while the step before is open, so that parameters are all that is waited for. More may follow for any of these works when
 * another worker is lost.
 */
export interface Assignment {
  readonly type: "assignment";
  /** The first of them. */
  readonly work: WorkName;
  /** How many works: steps of one epoch, with batches of as many samples, or one evaluation. */
  readonly works: number;
  /** Counted from 0; with the seed it decides the order of the samples. */
  readonly epoch: number;
  /** Position in the epoch's order of the first batch's first sample. */
  readonly offset: number;
  /** Samples in a whole batch, of which this worker computes some, and the shards they are cut into. */
  readonly samples: number;
  readonly shards: number;
  /** Nodes [start, end) of the canonical tree. */
  readonly nodes: readonly (readonly [number, number])[];
}

/**
 * One segment of the parameters; the float32 bytes follow. Of the whole vector, or of what is trained, in front of what is frozen:
 * for a worker that has had the whole of an even version, if this is even, or of an odd one. The last ones may come before the step
 * to this version is taken, from the end on, and are provisional until the first one is there; the others follow from the first to
 * the last. If what came before was not right, all come again, from the last to the first.
 */
export interface Parameters {
  readonly type: "parameters";
  /** Steps taken so far. */
  readonly version: StepNumber;
  readonly segment: Segment;
}

/**
 * What is packed (shared/kernels/assembly/pack.ts): the words of a vector; or, of parameters, how they differ from the version
 * before, which the receiver has.
 */
export type Packed = "words" | "differences";

/** A part of a vector that travels at once, in bytes. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** Where a segment belongs in its vector, and the `blockwiseChecksum` of its bytes (shared/memory/blocks.ts). */
export interface Segment extends Extent {
  readonly total: number;
  readonly checksum: number;
  /** Its bytes come packed. */
  readonly packed?: Packed;
}

/**
 * One segment of the sums over a subtree's samples: gradients in layout order, then the metrics. They come from the last to the
 * first, as a backward pass finds them, and those that are found first while the others are still computed.
 */
export interface Partial {
  readonly type: "partial";
  readonly run: RunId;
  readonly work: WorkName;
  readonly node: readonly [number, number];
  /** Time of computing since the worker's last partial of this work, in microseconds; known with the segment that comes last. */
  readonly computeMicroseconds: number;
  readonly segment: Segment;
  /** With the segment that comes last, the one at 0, where the plan asks for it. */
  readonly timing?: Timing;
}

/** The sums over a subtree's samples are in shared memory, and stay there until the work is over. */
export interface PlacedPartial {
  readonly type: "placed-partial";
  readonly run: RunId;
  readonly work: WorkName;
  readonly node: readonly [number, number];
  readonly computeMicroseconds: number;
  /** Where they start in the worker's file, in bytes. */
  readonly position: number;
  /** `blockwiseChecksum` of the whole vector (shared/memory/blocks.ts). */
  readonly checksum: number;
  readonly timing?: Timing;
}

/** When a worker did what since its last partial of this work: whole microseconds of a clock of its host. */
export interface Timing {
  /** When this message was made. */
  readonly sent: number;
  /** When the main thread began to make it; a compute thread that made it began behind its call. */
  readonly encode?: number;
  /** From when to when the parameters came over the socket. */
  readonly received?: readonly [begin: number, end: number];
  readonly calls: readonly EngineCall[];
}

/**
 * A thread began to gather samples (for a later stage of a program there is nothing to gather), to wait for parameters, and to
 * compute, and was done.
 */
export type EngineCall = readonly [thread: number, gather: number, wait: number, compute: number, end: number];

/** A partial was not used, and why. */
export interface Answer {
  readonly type: "answer";
  readonly code: "PARTIAL_STALE" | "PARTIAL_DUPLICATE" | "PARTIAL_CORRUPT";
  readonly work: WorkName;
  readonly node: readonly [number, number];
}

/**
 * Parameters came damaged, and were not used. They may have been a version that is over, which has been written over on its way to
 * a worker that stood still.
 */
interface Damaged {
  readonly type: "damaged";
  readonly version: StepNumber;
}

/** The worker goes; what it had not finished is given to others at once. */
interface Leave {
  readonly type: "leave";
}

/** The run is over; the worker ends. */
interface End {
  readonly type: "end";
  readonly reason: "completed" | "stopped" | "failed";
}

/** Sent every second by both sides; any byte counts as life, this one is for when there is nothing else to say. */
interface Heartbeat {
  readonly type: "heartbeat";
}

export type WorkerMessage = Hello | Ready | Failed | Partial | PlacedPartial | Damaged | Leave | Heartbeat;
export type CoordinatorMessage = Challenge | Welcome | Refused | Assignment | Parameters | Answer | End | Heartbeat;
