/**
 * Large arrays are read faster from pages of 2 MiB than from pages of 4 KiB, of which the processor looks up one after the
 * other: a matrix product took 6 % longer without. The system gives such pages where it is asked to, if it has them.
 */
import { fstatSync, ftruncateSync } from "node:fs";
import { ANONYMOUS, FIXED, HOST_PAGE, NO_ACCESS, operatingSystem, PRIVATE, READ, SHARED } from "../system.ts";

/** Bytes of such a page, and what its address is a multiple of. */
export const HUGE_PAGE = 2 << 20;

/** MADV_HUGEPAGE and MADV_COLLAPSE of Linux. */
const HUGE_PAGES = 14;
const COLLAPSE = 25;

/** So much a processor knows the small pages of; and the system may have to move others' pages, for milliseconds, to make a large one. */
const SMALL = 8 << 20;

/** Bytes from an address to the next page of so many bytes; none where one begins. */
const untilNext = (page: number, address: bigint): bigint => -address & BigInt(page - 1);

/** Has the system back this memory with huge pages, if it is large. It may refuse, which costs time and nothing else. */
export function preferHugePages(memory: Uint8Array): void {
  const system = memory.length >= SMALL ? operatingSystem() : undefined;
  if (system === undefined) return;
  const pages = memory.subarray(Number(untilNext(HOST_PAGE, system.addressOf(memory))));
  system.madvise(pages, pages.length, HUGE_PAGES);
}

/** Bytes that threads share, in huge pages if they are many: the system gives a process its pages one by one, as it first uses each. */
export function sharedBuffer(bytes: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes);
  preferHugePages(new Uint8Array(buffer));
  return buffer;
}

/**
 * Has the system back the first so many bytes of a file in memory with huge pages (from Linux 6.1 on), as far as they are whole ones:
 * whoever maps them at such addresses has them so. It may refuse, and leave the file without pages.
 * @param descriptor of a file of zeros that nobody has mapped
 */
export function fillWithHugePages(descriptor: number, bytes: number): void {
  const system = operatingSystem();
  const whole = bytes - (bytes % HUGE_PAGE);
  if (system === undefined || whole === 0) return;
  // Small pages would have to be moved, one after the other. Where there is none, the system does not begin.
  const { size } = fstatSync(descriptor);
  ftruncateSync(descriptor, 0);
  ftruncateSync(descriptor, size);
  for (let page = 0; page < whole; page += HUGE_PAGE) system.posix_fallocate(descriptor, page, 1);
  const room = system.mmap(null, whole + HUGE_PAGE, NO_ACCESS, PRIVATE | ANONYMOUS, -1, 0);
  if (system.failed(room)) return;
  const address = system.addressOf(room);
  const begin = address + untilNext(HUGE_PAGE, address);
  system.mmap(begin, whole, READ, SHARED | FIXED, descriptor, 0);
  system.madvise(begin, whole, COLLAPSE);
  system.munmap(address, whole + HUGE_PAGE);
}

/** The environment of a process whose C library asks for them too, for what the engine allocates (glibc; others don't look). */
export const withHugePages = (environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  GLIBC_TUNABLES: "glibc.malloc.hugetlb=1",
  ...environment,
});
