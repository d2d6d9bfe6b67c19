/** What happens to the coordinator's core, and what it asks of the runtime: two closed unions, one documented type each. */
import type { LockstepError } from "../../shared/errors.ts";
import type { StepNumber, WorkerId } from "../../shared/ids.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import type { JoinToken } from "../../shared/protocol/handshake.ts";
import type {
  CoordinatorMessage,
  Partial,
  PlacedPartial,
  WorkerMessage,
  WorkName,
} from "../../shared/protocol/messages.ts";
import type { RunEvent } from "../events.ts";
import type { Sums, Work } from "./state.ts";

export type CoordinatorEvent =
  /**
   * `nonce` is fresh, for the challenge; `token` is what this connection must prove to know; `isLocal`: it comes from this host;
   * `isOwn`: none but a worker that the run has started itself can prove it.
   */
  | { type: "connected"; worker: WorkerId; nonce: string; token: JoinToken; isLocal: boolean; isOwn: boolean }
  | { type: "message"; worker: WorkerId; message: WorkerMessage }
  /** Bytes have come, of a message that is not whole yet. */
  | { type: "heard"; worker: WorkerId }
  /** Bytes that are no message: the sender is cut off. */
  | { type: "violation"; worker: WorkerId; error: LockstepError }
  | { type: "disconnected"; worker: WorkerId; reason: string }
  /**
   * All segments of a partial have arrived and are intact; `finite`: every value in it is a finite number, or nobody has looked,
   * since the work trusts.
   */
  | {
      type: "assembled";
      worker: WorkerId;
      work: WorkName;
      node: TreeNode;
      finite: boolean;
      computeMicroseconds: number;
    }
  /** The sums over a node that were to be compared: workers whose bits are equal stand together. */
  | { type: "compared"; work: WorkName; node: TreeNode; groups: readonly (readonly WorkerId[])[] }
  /** Whose sums over a node have the bits that the coordinator's own engine gives; undefined if it cannot tell. */
  | { type: "judged"; work: WorkName; node: TreeNode; right: readonly WorkerId[] | undefined }
  /** A segment's bytes are not those that were sent. */
  | { type: "corrupt"; worker: WorkerId; work: WorkName; node: TreeNode }
  /** Though partials are still arriving, the next parameters are in place from this byte on, provisionally. */
  | { type: "advanced"; work: WorkName; from: number }
  /**
   * The open work's sums are complete: for a training step the next parameters are in place, unless not finite. `isAsAdvanced`:
   * where they were in place provisionally, they are the same.
   */
  | { type: "committed"; sums: Sums; finite: boolean; isAsAdvanced: boolean }
  /**
   * The sums of the open work, which trusted, cannot be used, and nothing has changed: what these workers had left was damaged, or
   * else not every number is finite.
   */
  | { type: "spoiled"; by: readonly WorkerId[] }
  /** Take no further step until `unpause`; the open one is finished. */
  | { type: "pause" }
  | { type: "unpause" }
  /** Write a checkpoint as soon as no step is open. */
  | { type: "save" }
  /** The checkpoint of this step could not be written. */
  | { type: "unsaved"; step: StepNumber }
  /** Time passes; at least a few times a second. */
  | { type: "tick" }
  /** End the run after the open step: by the user, or because of an error outside the core. */
  | { type: "stop"; reason: "user" | LockstepError };

/** Which parameters a worker still needs: all, or those in front of a byte offset; or all again, since what it has is not right. */
export type Rest = "all" | "again" | number;

export type CoordinatorEffect =
  | { type: "send"; worker: WorkerId; message: CoordinatorMessage }
  /** The connection has proven that it may join, though it is refused: that is no failed join. */
  | { type: "proven"; worker: WorkerId }
  /** The connection has proven that it may join: send the welcome with this proof and the run's plan. */
  | { type: "welcome"; worker: WorkerId; proof: string }
  /** Send the current parameters behind what was sent before, or of them only what is trained; `holdsLast`: it has the version before. */
  | { type: "send-parameters"; worker: WorkerId; part: "whole" | "trained"; rest: Rest; holdsLast: boolean }
  /** Send the end of the next parameters that are trained, as far as they are advanced: between these byte offsets. */
  | { type: "send-ahead"; worker: WorkerId; from: number; until: number | undefined; holdsLast: boolean }
  /** Close the connection once what was sent is out. */
  | { type: "close"; worker: WorkerId }
  /** Make ready to receive partials of this work. */
  | { type: "open"; work: Work }
  /** Take the bytes that came with this message. */
  | { type: "receive"; worker: WorkerId; partial: Partial | PlacedPartial }
  /** Compare these workers' assembled partials, and say `compared`. */
  | { type: "compare"; work: WorkName; node: TreeNode; workers: readonly WorkerId[] }
  /** Compute the node here, and say `judged` of all that is assembled for it by then. */
  | { type: "judge"; work: Work; node: TreeNode }
  /** Put an assembled partial into the reduction tree. */
  | { type: "fold"; worker: WorkerId; node: TreeNode }
  /** Throw an assembled partial away. */
  | { type: "drop"; worker: WorkerId; node: TreeNode }
  /** Finish the sums, update the parameters if it was a training step, and say `committed`, or `spoiled`. */
  | { type: "commit"; work: Work }
  | { type: "checkpoint" }
  /** Keep the current parameters as the best so far. */
  | { type: "keep-best" }
  /** One line of metrics.jsonl. `step` counts the steps taken. */
  | { type: "record"; line: { readonly step: number } & Record<string, unknown> }
  | { type: "notify"; event: RunEvent }
  /** The run is over; nothing follows. */
  | { type: "finish"; outcome: "completed" | "stopped" | LockstepError };
