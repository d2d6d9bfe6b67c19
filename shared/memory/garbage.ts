/**
 * Frames are short-lived buffers outside the JavaScript heap. V8 lets them pile up until 64 MB are reached and then runs a
 * full collection, 30 ms on a heap this small and again every 60 steps: a third of a small step's time. A young collection
 * frees the same buffers in 0.3 ms, so the edges to the network count what they allocate and ask for one in time.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as (options: { type: "minor" }) => void;

const COLLECT_EVERY = 8 << 20;
let allocated = 0;

/** Counts `bytes` of buffers that will not live long; collects the dead ones among them now and then. */
export function countBufferBytes(bytes: number): void {
  allocated += bytes;
  if (allocated < COLLECT_EVERY) return;
  allocated = 0;
  collect({ type: "minor" });
}
