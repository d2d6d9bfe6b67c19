/**
 * Ctrl-C (SIGINT) and SIGTERM while something long is going on: the first asks it to stop, the second ends the process at once, by
 * that signal itself: `process.exit` would end threads first, and one that is loading a library then aborts the process.
 */

/**
 * @param ask called at the first
 * @param beforeEnd called at the second
 * @returns what ends it: from then on the signals end the process
 */
export function stopOnInterrupt(ask: () => void, beforeEnd = (): void => {}): () => void {
  let asked = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (asked) {
      beforeEnd();
      release();
      process.kill(process.pid, signal);
    } else {
      asked = true;
      ask();
    }
  };
  const release = (): void => void process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return release;
}
