/**
 * Large arrays are read faster from pages of 2 MiB than from pages of 4 KiB, of which the processor looks up one after the
 * other: a matrix product took 6 % longer without. The system gives such pages where it is asked to, if it has them.
 */
import { operatingSystem } from "./system.ts";

/** Bytes of such a page, and what its address is a multiple of. */
export const HUGE_PAGE = 2 << 20;

/** MADV_HUGEPAGE and MADV_COLLAPSE of Linux. */
const HUGE_PAGES = 14;
const COLLAPSE = 25;

/** So much a processor knows the small pages of; and the system may have to move others' pages, for milliseconds, to make a large one. */
const SMALL = 8 << 20;

/** Has the system back this memory with huge pages, if it is large. It may refuse, which costs time and nothing else. */
export function preferHugePages(memory: WebAssembly.Memory): void {
  if (memory.buffer.byteLength < SMALL) return;
  operatingSystem()?.madvise(new Uint8Array(memory.buffer), memory.buffer.byteLength, HUGE_PAGES);
}

/**
 * Has the system move what it already has of a file in memory into huge pages (from Linux 6.1 on), for every process that maps it
 * at such addresses. It may refuse, which costs time and nothing else.
 */
export function gatherIntoHugePages(region: Uint8Array): void {
  if (region.length >= HUGE_PAGE) operatingSystem()?.madvise(region, region.length, COLLAPSE);
}

/** The environment of a process whose C library asks for them too, for what the engine allocates (glibc; others don't look). */
export const withHugePages = (environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  GLIBC_TUNABLES: "glibc.malloc.hugetlb=1",
  ...environment,
});
