/** Equal regions of an arena, handed out and taken back, so that a step allocates nothing. */
import type { Arena } from "./arena.ts";

export class BufferPool {
  readonly #arena: Arena;
  readonly #bytes: number;
  readonly #given: ReadonlySet<number>;
  readonly #preferred: number[];
  readonly #free: number[] = [];
  #unused: number;
  /** Of buffers that have several users, how many besides the first. */
  readonly #others = new Map<number, number>();

  /**
   * `count` buffers of `bytes` bytes, taken from the arena when they are first needed, besides those `given`, which are
   * handed out before any other.
   */
  constructor(arena: Arena, bytes: number, count: number, given: readonly number[] = []) {
    this.#arena = arena;
    this.#bytes = bytes;
    this.#unused = count;
    this.#given = new Set(given);
    this.#preferred = [...given];
  }

  /** The offset of a buffer, whose floats are those its last user left; undefined when all are in use. */
  acquire(prefer: "given" | "others" = "given"): number | undefined {
    const given = prefer === "given" ? this.#preferred.pop() : undefined;
    return given ?? this.#free.pop() ?? this.#fresh() ?? this.#preferred.pop();
  }

  /** The offsets of so many buffers, of those given at best the first one; undefined when fewer are free. */
  acquireTogether(count: number): number[] | undefined {
    const acquired: number[] = [];
    while (acquired.length < count) {
      const next = this.acquire(acquired.length === 0 ? "given" : "others");
      if (next === undefined) {
        for (const each of acquired) this.release(each);
        return undefined;
      }
      acquired.push(next);
    }
    return acquired;
  }

  #fresh(): number | undefined {
    if (this.#unused === 0) return undefined;
    this.#unused -= 1;
    return this.#arena.allocate(this.#bytes);
  }

  /** A buffer that is in use gets one more user, who releases it too. */
  share(offset: number): void {
    this.#others.set(offset, 1 + (this.#others.get(offset) ?? 0));
  }

  release(offset: number): void {
    const others = this.#others.get(offset);
    if (others !== undefined) {
      if (others === 1) this.#others.delete(offset);
      else this.#others.set(offset, others - 1);
      return;
    }
    if (this.#given.has(offset)) this.#preferred.push(offset);
    else this.#free.push(offset);
  }
}
