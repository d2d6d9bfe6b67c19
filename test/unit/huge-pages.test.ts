/** Which memory asks for huge pages, as the system tells it. */
import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { Arena } from "../../shared/memory/arena.ts";
import { operatingSystem } from "../../shared/memory/system.ts";

/** Regions of this process that are to have huge pages where that is possible. */
const regions = (): number => readFileSync("/proc/self/smaps", "utf8").match(/^VmFlags:.* hg( |$)/gm)?.length ?? 0;

/** Whether the system knows such pages, and says who wants them. */
const hasHugePages = operatingSystem() !== undefined && existsSync("/sys/kernel/mm/transparent_hugepage/enabled");

it.runIf(hasHugePages)("is asked for where memory is large, and small memory is left as it is", () => {
  const before = regions();
  const small = new Arena(4 << 20);
  expect(regions()).toBe(before);
  const large = new Arena(16 << 20);
  expect(regions()).toBeGreaterThan(before);
  expect(small.memory.buffer.byteLength).toBeLessThan(large.memory.buffer.byteLength);
});
