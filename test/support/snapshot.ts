/** A small model's snapshot, for tests of checkpoints. */

import type { Snapshot } from "../../shared/checkpoint/snapshot.ts";
import { layoutOf } from "../../shared/memory/layout.ts";

export const exampleLayout = layoutOf([
  { name: "0.weight", shape: [2, 3] },
  { name: "0.bias", shape: [2] },
]);

/** Every float is its place in its vector, the vectors 100 apart; padding is zero. */
export function exampleSnapshot(step: number): Snapshot {
  const vector = (from: number): Float32Array => {
    const floats = new Float32Array(exampleLayout.size);
    for (const { offset, length } of exampleLayout.slots)
      for (let at = offset; at < offset + length; at++) floats[at] = from + at;
    return floats;
  };
  return {
    step,
    epoch: 2,
    run: "run-1",
    layoutHash: exampleLayout.hash,
    parameters: vector(0),
    state: [
      { name: "mean", vector: vector(100) },
      { name: "variance", vector: vector(200) },
    ],
    steering: { lossSum: 0.5, best: null },
  };
}
