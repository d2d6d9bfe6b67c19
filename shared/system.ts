/**
 * The few calls of the operating system that Node lacks: for memory shared between processes, for threads of several processes that
 * wait for one another, for when threads run and on which processors, for how often a socket wakes its reader. Linux only; elsewhere
 * processes talk over sockets alone, and run anywhere.
 */
import { createRequire } from "node:module";
import type Koffi from "koffi";

/** No processor's pages have more bytes, but huge ones. Files, mapped regions and what the system is asked about are whole ones of these. */
export const HOST_PAGE = 65_536;

/** What memory that is mapped may be used for, and how it is mapped. */
export const NO_ACCESS = 0;
export const READ = 1;
export const WRITE = 2;
export const SHARED = 1;
export const PRIVATE = 2;
export const FIXED = 0x10;
export const ANONYMOUS = 0x20;

/** Of the first byte of memory: of an array's, or wherever. */
type Address = Uint8Array | bigint | null;

/** The C library's functions. Sizes and offsets are bytes. */
export interface System {
  mmap(address: Address, length: number, protection: number, flags: number, file: number, offset: number): unknown;
  munmap(address: Address, length: number): number;
  /** Says how `length` bytes from a page's start on will be used, or has something done with them at once. */
  madvise(address: Address, length: number, advice: number): number;
  posix_fallocate(file: number, offset: number, length: number): number;
  /** Waits while the word is `value`, for at most [seconds, nanoseconds], or wakes `value` of those that wait. */
  futex(word: Int32Array, operation: number, value: number, timeout: BigInt64Array | null): number;
  /** The number that the system knows the calling thread by. */
  gettid(): number;
  /** The processor that the calling thread is on. */
  sched_getcpu(): number;
  /** Lets another thread run that waits for this processor. */
  sched_yield(): number;
  /** Writes the processors that a thread may run on, a bit each; 0 is the calling thread. Returns 0 if it could. */
  sched_getaffinity(thread: number, length: number, processors: Uint8Array): number;
  /** Keeps a thread, and the processes and threads that it starts from now on, to these processors. Returns 0 if it could. */
  sched_setaffinity(thread: number, length: number, processors: Uint8Array): number;
  /** How a thread is scheduled; 0 is the calling thread. */
  sched_getscheduler(thread: number): number;
  /** Sets how a thread is scheduled; 0 is the calling thread. Returns 0 if it could. @param parameter its real-time priority, or 0 */
  sched_setscheduler(thread: number, policy: number, parameter: Int32Array): number;
  /** Makes a pipe and puts the descriptors of its reading and its writing end into `ends`. */
  pipe2(ends: Int32Array, flags: number): number;
  /** Sets an option of a socket. Returns 0 if it could. @param length of the value, in bytes */
  setsockopt(socket: number, level: number, option: number, value: Int32Array, length: number): number;
  readonly failed: (address: unknown) => boolean;
  /** Of an array's memory, or where memory was mapped. */
  readonly addressOf: (memory: unknown) => bigint;
}

/** The numbers of calls, by processor. Of the C library not every version has a function for them. */
const CALLS: Readonly<Record<string, { readonly futex: number; readonly gettid: number }>> = {
  x64: { futex: 202, gettid: 186 },
  arm64: { futex: 98, gettid: 178 },
};

function loadSystem(): System | undefined {
  const calls = CALLS[process.arch];
  if (process.platform !== "linux" || calls === undefined) return undefined;
  let koffi: typeof Koffi;
  try {
    koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
  } catch {
    // The library has no build for this processor.
    return undefined;
  }
  const library = koffi.load(null);
  const syscall = library.func("long syscall(long call, void *word, int operation, int value, void *timeout)") as (
    ...parameters: unknown[]
  ) => number;
  return {
    mmap: library.func("void *mmap(void *address, size_t length, int protection, int flags, int file, int64_t offset)"),
    munmap: library.func("int munmap(void *address, size_t length)"),
    madvise: library.func("int madvise(void *address, size_t length, int advice)"),
    posix_fallocate: library.func("int posix_fallocate(int file, int64_t offset, int64_t length)"),
    gettid: () => syscall(calls.gettid, null, 0, 0, null),
    sched_getcpu: library.func("int sched_getcpu()"),
    sched_yield: library.func("int sched_yield()"),
    sched_getaffinity: library.func("int sched_getaffinity(int thread, size_t length, void *processors)"),
    sched_setaffinity: library.func("int sched_setaffinity(int thread, size_t length, const void *processors)"),
    sched_getscheduler: library.func("int sched_getscheduler(int thread)"),
    sched_setscheduler: library.func("int sched_setscheduler(int thread, int policy, const void *parameter)"),
    pipe2: library.func("int pipe2(void *ends, int flags)"),
    setsockopt: library.func("int setsockopt(int socket, int level, int option, const void *value, uint32_t length)"),
    futex: (word, operation, value, timeout) => syscall(calls.futex, word, operation, value, timeout),
    failed: (address) => koffi.address(address) === 2n ** 64n - 1n,
    addressOf: (memory) => koffi.address(memory),
  };
}

let loaded: { readonly system: System | undefined } | undefined;

/** Undefined where there are no such calls. */
export function operatingSystem(): System | undefined {
  loaded ??= { system: loadSystem() };
  return loaded.system;
}
