/** Seeded randomness for fuzzing, and the ways to spoil bytes. The same seed gives the same frames. */
import { Packr } from "msgpackr";
import type { Frame } from "../../shared/protocol/codec.ts";
import { randomStream } from "../../shared/random.ts";

const packr = new Packr({ useRecords: false, mapsAsObjects: true });

export class Dice {
  readonly #stream;
  #drawn = 0;

  constructor(seed: number) {
    this.#stream = randomStream(seed, "probe");
  }

  /** In [0, 1). */
  next(): number {
    this.#drawn += 1;
    return this.#stream.uniform(this.#drawn);
  }

  /** A whole number from 0 up to, but not, `count`. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  one<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)]!;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** Any value that msgpack can carry, a few levels deep; numbers and names tend to lie at the edges of what is allowed. */
  value(depth = 3): unknown {
    const leaves = [
      () =>
        this.one([
          0,
          1,
          2,
          4,
          -1,
          0.5,
          64,
          2 ** 31,
          2 ** 32,
          2 ** 53 - 1,
          2 ** 53,
          Number.NaN,
          Number.POSITIVE_INFINITY,
        ]),
      () => this.one(["", "train", "evaluate", "0".repeat(64), "\u001b[2J", "__proto__", "x".repeat(5_000)]),
      () => this.one([true, false, null, undefined]),
      () => this.bytes(this.below(20)),
    ];
    const nested = [
      () => Array.from({ length: this.below(5) }, () => this.value(depth - 1)),
      () => new Map(Array.from({ length: this.below(5) }, () => [this.one(names), this.value(depth - 1)])),
    ];
    return this.one(depth > 0 ? [...leaves, ...nested] : leaves)();
  }

  /** A frame with any header and any section, or none. */
  frame(header: unknown): Frame {
    const packed = packr.pack(asMaps(header));
    return this.chance(0.1) ? [packed] : [packed, this.bytes(this.below(40))];
  }

  /** The message with one of its fields or entries, at any depth, replaced, left out or added. */
  spoiledMessage(message: unknown): unknown {
    if (typeof message !== "object" || message === null || Buffer.isBuffer(message)) return this.value(1);
    const entries = Object.entries(message);
    const place = this.below(entries.length + 1);
    const [name, inner] = entries[place] ?? [this.one(names), undefined];
    const deeper = typeof inner === "object" && inner !== null && this.chance(0.6);
    const spoiled: [string, unknown] = [name, deeper ? this.spoiledMessage(inner) : this.value(1)];
    entries.splice(place, 1, ...(this.chance(0.1) ? [] : [spoiled]));
    return Array.isArray(message) ? entries.map(([, entry]) => entry) : new Map(entries);
  }

  /** The frame with one of its fragments spoiled, left out or added. */
  spoiledFrame(frame: Frame): Frame {
    const fragments = [...frame];
    const place = this.below(fragments.length + 1);
    const left = fragments.splice(place, 1).filter(() => this.chance(0.9));
    fragments.splice(
      place,
      0,
      ...left.map((bytes) => this.#spoiled(bytes)),
      ...(left.length === 0 ? [this.bytes(9)] : []),
    );
    return fragments;
  }

  /** With bytes flipped, cut off, repeated or inserted. */
  #spoiled(bytes: Buffer): Buffer {
    let spoiled: Buffer = Buffer.from(bytes);
    for (let faults = 1 + this.below(3); faults > 0; faults--) {
      const place = this.below(spoiled.length + 1);
      switch (this.below(4)) {
        case 0:
          if (place < spoiled.length) spoiled[place]! ^= 1 << this.below(8);
          break;
        case 1:
          spoiled = spoiled.subarray(0, place);
          break;
        case 2:
          spoiled = Buffer.concat([spoiled, spoiled.subarray(place)]);
          break;
        default:
          spoiled = Buffer.concat([spoiled.subarray(0, place), this.bytes(1 + this.below(8)), spoiled.subarray(place)]);
      }
    }
    return spoiled;
  }
}

/** Objects as maps, so that names such as `constructor` mean nothing to the encoder. */
function asMaps(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Buffer.isBuffer(value)) return value;
  if (value instanceof Map) return new Map(Array.from(value, ([key, inner]) => [key, asMaps(inner)]));
  if (Array.isArray(value)) return Array.from(value, asMaps);
  return new Map(Object.entries(value).map(([key, inner]) => [key, asMaps(inner)]));
}

const names = [
  "type",
  "work",
  "node",
  "nodes",
  "segment",
  "plan",
  "step",
  "offset",
  "length",
  "constructor",
  "__proto__",
  "x",
];
