/** Equal regions of an arena, handed out and taken back, so that a step allocates nothing. */
import type { Arena } from "./arena.ts";

export class BufferPool {
  readonly #arena: Arena;
  readonly #bytes: number;
  readonly #free: number[] = [];
  #unused: number;

  /** At most `count` buffers of `bytes` bytes; each is taken from the arena when it is first needed. */
  constructor(arena: Arena, bytes: number, count: number) {
    this.#arena = arena;
    this.#bytes = bytes;
    this.#unused = count;
  }

  /** The offset of a buffer, whose floats are those its last user left; undefined when all are in use. */
  acquire(): number | undefined {
    const free = this.#free.pop();
    if (free !== undefined || this.#unused === 0) return free;
    this.#unused -= 1;
    return this.#arena.allocate(this.#bytes);
  }

  release(offset: number): void {
    this.#free.push(offset);
  }
}
