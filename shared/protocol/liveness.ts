/**
 * How coordinator and worker know that the other is there: each is heard about once a second, by a heartbeat if by nothing else.
 * All are milliseconds.
 */
export const HEARTBEAT_EVERY = 1_000;

/** Who has missed two heartbeats may be frozen: a worker is given nothing new until it is heard again. */
export const QUIET_AFTER = 2.5 * HEARTBEAT_EVERY;

/** From whom no byte came for this long is gone. */
export const SILENCE_DEADLINE = 15_000;

/** Ticks so far apart mean that this process was frozen or busy itself, and could hear nobody. */
export const FROZEN_AFTER = 1_000;
