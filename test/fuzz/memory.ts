/** How much memory this process holds on to. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes in use once nothing is left to collect. */
export function memoryInUse(): number {
  // What the first pass finds unreachable, such as shared memory, may be freed by the second only.
  for (let pass = 0; pass < 2; pass++) collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
