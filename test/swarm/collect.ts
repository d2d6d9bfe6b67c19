/**
 * Preloaded into a coordinator process whose memory is watched: on SIGUSR2 it collects all garbage and says on standard
 * error what is left. Without that, what is resident says little: a heap may grow by some 200 MB between two full
 * collections (shared/v8.ts).
 */
import { memoryInUse } from "../fuzz/memory.ts";

process.on("SIGUSR2", () => console.error(`memory in use: ${memoryInUse()}`));
