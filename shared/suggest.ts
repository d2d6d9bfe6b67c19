/** Finds what someone probably meant: the known name nearest to a misspelt one. */

/** Names are compared without case, `_` and `-`, so `learning_rate` is as good as `learningRate`. */
const plain = (name: string): string => name.toLowerCase().replaceAll(/[-_]/g, "");

/**
 * The fewest single-letter insertions, deletions, substitutions and swaps of neighbours that turn one word into the
 * other (optimal string alignment distance).
 */
export function editDistance(left: string, right: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1];
      let cost = Math.min(previous[column]! + 1, current[column - 1]! + 1, previous[column - 1]! + (same ? 0 : 1));
      const swapped =
        row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (swapped) cost = Math.min(cost, beforePrevious[column - 2]! + 1);
      current.push(cost);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[right.length]!;
}

/** The known name nearest to `name`, if it is near enough to be a slip of the pen: a third of its letters at most. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(plain(name), plain(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `; did you mean X?` where something near is known, else nothing. */
export function suggestion(name: unknown, known: readonly string[]): string {
  const near = typeof name === "string" ? nearest(name, known) : undefined;
  return near === undefined ? "" : `; did you mean ${near}?`;
}
