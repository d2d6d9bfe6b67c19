/** How much of the end of a sum was used before its beginning was known, and whether more of it may be. */
import type { Inbound } from "./inbound.ts";

export class UsedTail {
  #mayGrow = false;
  #from: number | undefined;
  /** If one of them is dropped instead of folded, it is another sum. */
  readonly #parts = new Set<Inbound>();

  /** Begins anew. @param mayGrow whether the end of the sum may be used before all of it is known */
  begin(mayGrow: boolean): void {
    this.#mayGrow = mayGrow;
    this.#from = undefined;
    this.#parts.clear();
  }

  /** What was used is not kept, and nothing more is used before the sum is whole. */
  giveUp(): void {
    this.begin(false);
  }

  get mayGrow(): boolean {
    return this.#mayGrow;
  }

  /** The float from which on the sum was used; undefined: none of it. */
  get from(): number | undefined {
    return this.#from;
  }

  /** It was used from this float on, made of these. */
  grow(from: number, parts: readonly Inbound[]): void {
    this.#from = from;
    for (const part of parts) this.#parts.add(part);
  }

  /** Whether a partial went into it. */
  holds(part: Inbound): boolean {
    return this.#parts.has(part);
  }
}
