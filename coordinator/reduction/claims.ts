/**
 * What the partials in workers' memory are said to have as their checksums. In a work that trusts, nobody looks at one before it is
 * added; whoever said what is not so is named then.
 */
import type { WorkerId } from "../../shared/ids.ts";
import type { Kernels } from "../../shared/kernels/index.ts";
import { inspect } from "../../shared/memory/blocks.ts";
import type { Check, Checks } from "../crew/job.ts";

interface Claim extends Check {
  readonly worker: WorkerId;
}

export class Claims {
  readonly #kernels: Kernels;
  #bytes = 0;
  /** Those that nobody has looked at, by their place. */
  readonly #open = new Map<number, Claim>();
  /** Places that were found to be as they should for a part of the sum; they are looked at once more when all of it is added. */
  readonly #sound = new Set<number>();
  #culprits: WorkerId[] = [];

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
  }

  /** Begins anew, with partials of so many bytes. */
  begin(bytes: number): void {
    this.#bytes = bytes;
    this.#open.clear();
    this.#sound.clear();
    this.#culprits = [];
  }

  /** Takes the place of an earlier claim on the same place: that partial is not used, or it would still be there. */
  add(claim: Claim): void {
    this.#open.set(claim.place, claim);
  }

  /** What is not looked at yet of these places. */
  checksOf(places: readonly number[]): Checks {
    const vectors = [...new Set(places)].flatMap((place) => this.#open.get(place) ?? []);
    return { vectors, length: this.#bytes / 4 };
  }

  /** These places were looked at, and some of them found to be damaged. */
  settle({ vectors }: Checks, damaged: readonly number[]): void {
    for (const place of damaged) this.#culprits.push(this.#open.get(place)!.worker);
    for (const { place } of vectors) this.#open.delete(place);
  }

  /** Whether what is at a place is as it is said to be, if anything is; looks unless that is known. */
  isSound(place: number): boolean {
    const claim = this.#open.get(place);
    if (claim === undefined || this.#sound.has(place)) return true;
    if (inspect(this.#kernels, place, this.#bytes).checksum !== claim.checksum) return false;
    this.#sound.add(place);
    return true;
  }

  /** Who has left partials that were found to be damaged when they were added. */
  get culprits(): readonly WorkerId[] {
    return this.#culprits;
  }
}
