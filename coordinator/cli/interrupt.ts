/**
 * Ctrl-C (SIGINT) and SIGTERM while something long is going on: the first asks it to stop, the second ends the process at once, by
 * that signal itself: `process.exit` would end threads first, and one that is loading a library then aborts the process.
 * A terminal that is closed (SIGHUP) asks too; without one the work goes on, as under nohup, whose wish Node does not keep.
 */

/** Which is the first once more: npm and `timeout` pass on what the terminal, or their group, was sent too. Milliseconds. */
const SAME_WITHIN = 500;

/**
 * @param ask called at the first
 * @param beforeEnd called at the second
 * @returns what ends it: from then on the signals end the process
 */
export function stopOnInterrupt(ask: () => void, beforeEnd = (): void => {}): () => void {
  let askedAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (askedAt === undefined) {
      askedAt = performance.now();
      ask();
    } else if (performance.now() - askedAt > SAME_WITHIN) {
      beforeEnd();
      release();
      process.kill(process.pid, signal);
    }
  };
  const onHangUp = (): void => {
    if (process.stdout.isTTY && askedAt === undefined) onSignal("SIGHUP");
  };
  const release = (): void => void process.off("SIGINT", onSignal).off("SIGTERM", onSignal).off("SIGHUP", onHangUp);
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal).on("SIGHUP", onHangUp);
  return release;
}
