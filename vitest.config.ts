import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// Each file runs in a process of its own: the engine must never be inside `run` when a thread is torn down.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // What is waited for comes, also where the machine stands still for a second.
    expect: { poll: { timeout: 10_000 } },
    // Hundreds of processes are started: each would compile the same modules again.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL("node_modules/.cache/compiled", import.meta.url)) },
  },
});
