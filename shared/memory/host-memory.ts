/**
 * Memory that processes of one user on one host share (Linux): a file in tmpfs that has no name, laid over a region of an
 * arena, so that kernels, engines and threads of several processes work on the same bytes. Others reach the file through the
 * open descriptor of the process that made it; nothing is left behind however that process ends.
 */
import { randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import type { Arena } from "./arena.ts";
import { fillWithHugePages, HUGE_PAGE, preferHugePages } from "./huge-pages.ts";
import { ANONYMOUS, FIXED, HOST_PAGE, operatingSystem, PRIVATE, READ, SHARED, WRITE } from "../system.ts";
import type { System } from "../system.ts";

/** Where a file can be reached. Whether that is the same host shows in the nonce behind its bytes. */
export interface HostFileName {
  readonly path: string;
  readonly bytes: number;
  readonly nonce: string;
}

/**
 * What the address of a mapped region of so many bytes is a multiple of, and its place in the file and its size: a huge page, where
 * it has room for one, so that the system can back all processes' regions with such pages. The same for the bytes' whole pages.
 */
export const pageFor = (bytes: number): number => (bytes <= HUGE_PAGE - HOST_PAGE ? HOST_PAGE : HUGE_PAGE);
export const wholePages = (bytes: number): number => Math.ceil(bytes / pageFor(bytes)) * pageFor(bytes);

/** A region of an arena that whole pages can be laid over: its offset. */
export const regionIn = (arena: Arena, bytes: number): number => arena.allocate(wholePages(bytes), pageFor(bytes));

/** Bytes of an arena for such a region, wherever the one before it ends. */
export const roomFor = (bytes: number): number => pageFor(bytes) + wholePages(bytes);

/** Partials that a worker can leave in shared memory at a time; what is more goes over its socket. */
export const PLACED_PARTIALS = 4;

/** Bytes of the file they are in. */
export const placedBytes = (partialBytes: number): number => wholePages(PLACED_PARTIALS * partialBytes);

/** Has all pages of a file be there: one that is missing when it is first written would end the process. Whether there are so many. */
function reserve(system: System, descriptor: number, bytes: number): boolean {
  const isThere = (): boolean => system.posix_fallocate(descriptor, 0, bytes) === 0;
  if (!isThere()) return false;
  fillWithHugePages(descriptor, bytes);
  return isThere();
}

const FOLDER = "/dev/shm";
const NONCE_BYTES = 16;

/** Whether a path is one of an open file of some process, as all shared things are reached. */
export const isDescriptorPath = (path: string): boolean => /^\/proc\/\d+\/fd\/\d+$/.test(path);

export class HostFile {
  readonly name: HostFileName;
  readonly #system: System;
  readonly #descriptor: number;

  private constructor(system: System, descriptor: number, name: HostFileName) {
    this.#system = system;
    this.#descriptor = descriptor;
    this.name = name;
  }

  /** Makes a file of whole pages, all of them there; undefined where the system has no such memory, or not so much. */
  static create(bytes: number): HostFile | undefined {
    const system = operatingSystem();
    return system && HostFile.#create(system, bytes);
  }

  /** Makes another file of that kind. */
  another(bytes: number): HostFile | undefined {
    return HostFile.#create(this.#system, bytes);
  }

  static #create(system: System, bytes: number): HostFile | undefined {
    const nonce = randomBytes(NONCE_BYTES).toString("hex");
    const path = `${FOLDER}/lockstep-${nonce}`;
    let descriptor: number;
    try {
      descriptor = openSync(path, "wx+", 0o600);
      unlinkSync(path);
    } catch {
      return undefined;
    }
    if (!reserve(system, descriptor, bytes + HOST_PAGE)) {
      closeSync(descriptor);
      return undefined;
    }
    writeSync(descriptor, Buffer.from(nonce, "hex"), 0, NONCE_BYTES, bytes);
    return new HostFile(system, descriptor, { path: `/proc/${process.pid}/fd/${descriptor}`, bytes, nonce });
  }

  /** Opens another process's file; undefined unless it is this user's, on this host, and the one that is meant. */
  static open(name: HostFileName, access: "read" | "write"): HostFile | undefined {
    const system = operatingSystem();
    if (system === undefined || !isDescriptorPath(name.path)) return undefined;
    let descriptor: number;
    try {
      // A pipe at this path must not be waited for.
      descriptor = openSync(
        name.path,
        (access === "read" ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK,
      );
    } catch {
      return undefined;
    }
    const file = new HostFile(system, descriptor, name);
    if (file.#isMeant()) return file;
    file.close();
    return undefined;
  }

  #isMeant(): boolean {
    const { bytes, nonce } = this.name;
    const { uid, size } = fstatSync(this.#descriptor);
    const found = Buffer.alloc(NONCE_BYTES);
    const isWhole = uid === process.getuid!() && size === bytes + HOST_PAGE && this.read(found, bytes);
    return isWhole && found.toString("hex") === nonce;
  }

  /** Lays bytes of the file over a region of an arena. All numbers are whole pages. */
  mapOver(arena: Arena, offset: number, position: number, bytes: number, access: "read" | "write"): void {
    const region = arena.bytes(offset, bytes);
    const protection = access === "read" ? READ : READ | WRITE;
    const address = this.#system.mmap(region, bytes, protection, SHARED | FIXED, this.#descriptor, position);
    if (this.#system.failed(address)) throw new Error(`${bytes} bytes of shared memory cannot be mapped`);
  }

  /** Gives a region memory of its own again, all zeros. */
  unmap(arena: Arena, offset: number, bytes: number): void {
    const region = arena.bytes(offset, bytes);
    const address = this.#system.mmap(region, bytes, READ | WRITE, PRIVATE | FIXED | ANONYMOUS, -1, 0);
    if (this.#system.failed(address)) throw new Error(`${bytes} bytes of memory cannot be mapped`);
    preferHugePages(region);
  }

  /** Reads bytes from a position; whether there were so many. Safe whatever other processes do to the file. */
  read(into: Uint8Array, position: number): boolean {
    return readSync(this.#descriptor, into, 0, into.length, position) === into.length;
  }

  /** What is mapped stays. */
  close(): void {
    closeSync(this.#descriptor);
  }
}
