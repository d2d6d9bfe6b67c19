/**
 * Coded errors. Everything a person, a file or a peer can cause is a LockstepError: a code for machines, one sentence
 * with the offending values, and a hint that says what to do next. The command line prints these without a stack trace;
 * any other error is a defect of Lockstep and keeps its stack.
 */

/** Every code there is. The README's table has a sentence for each. */
export type ErrorCode =
  | "CONFIG_INVALID"
  | "DATA_MISSING"
  | "DATA_INVALID"
  | "DATA_MISMATCH"
  | "SHAPE_MISMATCH"
  | "GRAPH_INVALID"
  | "MODEL_INVALID"
  | "WEIGHTS_INVALID"
  | "PORT_IN_USE"
  | "BIND_REFUSED"
  | "ADDRESS_INVALID"
  | "COORDINATOR_UNREACHABLE"
  | "VERSION_MISMATCH"
  | "LAYOUT_MISMATCH"
  | "FINGERPRINT_MISMATCH"
  | "TOKEN_INVALID"
  | "TOKEN_REFUSED"
  | "TLS_INVALID"
  | "TLS_REFUSED"
  | "CONNECTION_REFUSED"
  | "HANDSHAKE_TIMEOUT"
  | "PROTOCOL_VIOLATION"
  | "PARTIAL_STALE"
  | "PARTIAL_DUPLICATE"
  | "PARTIAL_CORRUPT"
  | "PARTIAL_DISPUTED"
  | "QUARANTINED"
  | "NAME_TAKEN"
  | "WORKERS_EXHAUSTED"
  | "RUN_EXISTS"
  | "RUN_MISSING"
  | "RUN_LOCKED"
  | "RUN_MISMATCH"
  | "CHECKPOINT_DAMAGED"
  | "CHECKPOINT_MISSING"
  | "DISK_FAILED"
  | "LOSS_NOT_FINITE"
  | "NODE_TOO_OLD"
  | "RUN_ENDED";

/** An error with a cause a person can understand and mend. */
export class LockstepError extends Error {
  readonly code: ErrorCode;
  /** What to do next, as a sentence; empty where the message already says it. */
  readonly hint: string;

  constructor(code: ErrorCode, message: string, hint = "", options?: ErrorOptions) {
    super(message, options);
    this.name = "LockstepError";
    this.code = code;
    this.hint = hint;
  }
}

/** Marks a place that a closed union makes unreachable; the type checker proves it, this reports if it was wrong. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
