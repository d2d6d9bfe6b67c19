import { defineConfig } from "vitest/config";

// Each file runs in a process of its own: the engine must never be inside `run` when a thread is torn down.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
