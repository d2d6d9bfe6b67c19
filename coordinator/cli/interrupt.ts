/**
 * Ctrl-C (SIGINT) and SIGTERM while something long is going on: the first asks it to stop, the second ends the process at once. A
 * terminal that is closed (SIGHUP) asks too; without one the work goes on, as under nohup, whose wish Node does not keep.
 *
 * npm and `timeout` pass on what the terminal, or their group, was sent too, so the first may come twice: for `SAME_WITHIN` it is
 * the first still, also where what it stopped is over by then. The process lives that long for it: one that is ending has no
 * handlers any more, and a signal would have it fail.
 */
import { constants } from "node:os";
import { hasTerminal } from "../../shared/terminal.ts";

/** Milliseconds. */
const SAME_WITHIN = 500;

/** For a whole command. */
export function ignoreHangUpsWithoutTerminal(): void {
  if (!hasTerminal) process.on("SIGHUP", () => {});
}

/**
 * @param ask called at the first
 * @param beforeEnd called at the second
 * @returns what ends it: from then on the signals end the process
 */
export function stopOnInterrupt(ask: () => void, beforeEnd = (): void => {}): () => void {
  let askedAt: number | undefined;
  let isOver = false;
  /** Of the time in which another is the first once more, in milliseconds. */
  const timeLeft = (): number => (askedAt === undefined ? 0 : askedAt + SAME_WITHIN - performance.now());
  const onSignal = (signal: NodeJS.Signals): void => {
    if (askedAt === undefined) {
      askedAt = performance.now();
      ask();
    } else if (timeLeft() <= 0) {
      if (!isOver) beforeEnd();
      stopListening();
      endBy(signal);
    }
  };
  const onHangUp = (): void => {
    if (askedAt === undefined) onSignal("SIGHUP");
  };
  const stopListening = (): void =>
    void process.off("SIGINT", onSignal).off("SIGTERM", onSignal).off("SIGHUP", onHangUp);
  const release = (): void => {
    isOver = true;
    const left = timeLeft();
    if (left > 0) setTimeout(stopListening, left);
    else stopListening();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  if (hasTerminal) process.on("SIGHUP", onHangUp);
  return release;
}

/** Ends by the signal itself: `process.exit` would end threads first, and one that is loading a library then aborts the process. */
function endBy(signal: NodeJS.Signals): void {
  // The first process of a container is sent no signal that it has no handler for.
  if (process.pid === 1) process.exit(128 + constants.signals[signal]);
  process.kill(process.pid, signal);
}
