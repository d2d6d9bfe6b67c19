/** A thread that takes a while to load its file, and counts when it has. */
import { setTimeout } from "node:timers/promises";
import { workerData } from "piscina";

await setTimeout(300);
Atomics.add(new Int32Array(workerData as SharedArrayBuffer), 0, 1);

export default (): void => {};
