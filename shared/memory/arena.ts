/**
 * An arena hands out regions of one shared WebAssembly.Memory, one behind the other, and never takes any back. Threads,
 * kernels, the engine and sockets read and write the same bytes through it. Every region starts on a 64-byte boundary
 * (the engine's bits depend on alignment) and is zero when it is handed out. The first page stays free of regions: it
 * belongs to the kernels' module, and no valid region has offset 0.
 */
import { LockstepError } from "../errors.ts";
import { preferHugePages } from "./huge-pages.ts";
import { operatingSystem } from "../system.ts";

const pageBytes = 65_536;
const alignmentBytes = 64;
/** What a WebAssembly.Memory with 32-bit addresses can hold. */
const maximumPages = 65_536;

/** The first offset from `next` on whose address is a multiple of `alignment`, in memory that begins at `address`. */
export const alignedFrom = (next: number, alignment: number, address: number): number =>
  Math.ceil((address + next) / alignment) * alignment - address;

export class Arena {
  /** More than this no arena has. */
  static readonly mostBytes = (maximumPages - 1) * pageBytes;
  readonly memory: WebAssembly.Memory;
  readonly #end: number;
  #next = pageBytes;

  /**
   * An arena for `bytes` bytes in regions of whole 64-byte lines. Memory is reserved at once; the operating system
   * backs it page by page as it is written.
   * @throws LockstepError CONFIG_INVALID above 4 GiB − 64 KiB, which 32-bit addresses can't reach
   */
  constructor(bytes: number) {
    const pages = 1 + Math.ceil(bytes / pageBytes);
    if (pages > maximumPages) {
      throw new LockstepError(
        "CONFIG_INVALID",
        `this model needs ${(bytes / 2 ** 30).toFixed(2)} GiB in one process; 4 GiB is the limit of its shared memory`,
        "Use a smaller model, fewer shards, or an optimizer that keeps fewer vectors.",
      );
    }
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    preferHugePages(new Uint8Array(this.memory.buffer));
    this.#end = pages * pageBytes;
  }

  /**
   * Reserves `bytes` bytes and returns the byte offset of the first, whose address is a multiple of `alignment`, itself one of
   * 64. Throws RangeError where the arena is full.
   */
  allocate(bytes: number, alignment = alignmentBytes): number {
    // Lines of 64 bytes begin where memory does, which is at the beginning of a page.
    const address = alignment > alignmentBytes ? this.#address : 0;
    const offset = alignedFrom(this.#next, alignment, address);
    const next = offset + Math.ceil(bytes / alignmentBytes) * alignmentBytes;
    if (!(next <= this.#end)) {
      throw new RangeError(`${bytes} bytes don't fit: ${this.#end - offset} of the arena's bytes are left`);
    }
    this.#next = next;
    return offset;
  }

  /** Of the first byte, where the system tells; 0 elsewhere, where nothing depends on it. */
  get #address(): number {
    return Number(operatingSystem()?.addressOf(new Uint8Array(this.memory.buffer)) ?? 0n);
  }

  /** `length` floats from byte `offset` on, as a view. */
  floats(offset: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, offset, length);
  }

  /** `length` bytes from byte `offset` on, as a view. */
  bytes(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, offset, length);
  }
}
