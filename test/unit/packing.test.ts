/** Packing against plain arithmetic, on words of any bits; and what is no packed segment. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { Packing, packingBytes } from "../../shared/memory/packing.ts";
import { randomStream } from "../../shared/random.ts";

const MOST = 512;
const GUARD = 64;
const arena = new Arena(packingBytes(3) + 8 * MOST + 4 * GUARD);
const kernels = instantiateKernels(arena.memory);
const packing = new Packing(arena, kernels, 3);
const guarded = arena.allocate(4 * MOST + 2 * GUARD);
const place = guarded + GUARD;
const base = arena.allocate(4 * MOST);

/** What assembly/pack.ts says, word by word. */
function turned(word: number, like: number | undefined): number {
  if (like === undefined) return ((word << 1) | (word >>> 31)) >>> 0;
  const difference = (word - like) | 0;
  return (difference < 0 ? -2 * difference - 1 : 2 * difference) >>> 0;
}

function plainlyPacked(words: Uint32Array, like?: Uint32Array): number[] {
  const bytes: number[] = [];
  for (let from = 0; from < words.length; from += 32) {
    const block = [...words.subarray(from, from + 32)].map((word, index) => turned(word, like?.[from + index]));
    const there = block.filter((word) => word !== 0);
    if (there.length === 0) {
      bytes.push(0x1f);
      continue;
    }
    const least = Math.min(...there);
    const reference = least - (least % 2 ** 24);
    const above = there.map((word) => word - reference);
    const width = Math.ceil(Math.max(...above).toString(2).length / 4);
    const quarters = Math.max(...above) === 0 ? 0 : width;
    const isFull = there.length === block.length;
    bytes.push(isFull ? quarters : quarters + 0x10, reference / 2 ** 24);
    const present = block.reduce((bits, word, index) => (word === 0 ? bits : bits + 2 ** index), 0);
    if (!isFull) bytes.push(...[0, 8, 16, 24].map((shift) => (present >>> shift) & 0xff));
    while (above.length % 4 !== 0) above.push(0);
    for (let pair = 0; pair < above.length; pair += 2) {
      let both = BigInt(above[pair]!) | (BigInt(above[pair + 1]!) << BigInt(4 * quarters));
      for (let byte = 0; byte < quarters; byte++, both >>= 8n) bytes.push(Number(both & 0xffn));
    }
  }
  return bytes;
}

const write = (words: Uint32Array, at: number): void =>
  arena.bytes(at, words.byteLength).set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));

function packed(words: Uint32Array, like?: Uint32Array): Uint8Array {
  write(words, place);
  if (like !== undefined) write(like, base);
  return packing.pack(place, words.byteLength, like && base).slice();
}

/** What comes of bytes, where the guards are not touched; undefined if they are refused. */
function unpacked(bytes: Uint8Array, count: number, like?: Uint32Array): Uint32Array | undefined {
  if (like !== undefined) write(like, base);
  const around = arena.bytes(guarded, 4 * MOST + 2 * GUARD).fill(0xa5);
  const isUnpacked = packing.unpack(bytes, place, 4 * count, like && base);
  expect(around.every((byte, at) => byte === 0xa5 || (at >= GUARD && at < GUARD + 4 * count))).toBe(true);
  return isUnpacked ? new Uint32Array(arena.bytes(place, 4 * count).slice().buffer) : undefined;
}

const bitsOf = (floats: Float32Array): Uint32Array => new Uint32Array(floats.buffer);

/** Words that have something in common, or nothing; with zeros, or none. */
const words = fc
  .tuple(fc.nat(MOST / 16), fc.nat(0xffffffff), fc.integer({ min: 0, max: 32 }), fc.nat(4), fc.nat(2 ** 31))
  .map(([lines, base, bits, zeros, seed]) => {
    const { uint32 } = randomStream(seed, "probe");
    return Uint32Array.from({ length: 16 * lines }, (_, index) => {
      if (zeros > 0 && (uint32(2 * index) >> zeros) % 3 === 0) return 0;
      return base + (bits === 0 ? 0 : uint32(2 * index + 1) >>> (32 - bits));
    });
  });

describe("packing", () => {
  it("is what it says, and loses nothing", () => {
    fc.assert(
      fc.property(words, (given) => {
        const bytes = packed(given);
        expect([...bytes]).toEqual(plainlyPacked(given));
        expect(unpacked(bytes, given.length)).toEqual(given);
      }),
      { numRuns: 700 },
    );
  });

  it("of differences is what it says, and loses nothing, however much words differ", () => {
    fc.assert(
      fc.property(words, fc.nat(32), fc.nat(2 ** 31), (given, bits, seed) => {
        const { uint32 } = randomStream(seed, "probe");
        const like = given.map((word, index) => word + (bits === 0 ? 0 : uint32(index) >>> (32 - bits)));
        const bytes = packed(given, like);
        expect([...bytes]).toEqual(plainlyPacked(given, like));
        expect(unpacked(bytes, given.length, like)).toEqual(given);
      }),
      { numRuns: 700 },
    );
  });

  it("keeps the bits of every kind of float", () => {
    const kinds = [0, -0, 1, -1, 2 ** -149, -(2 ** -126), 3.4e38, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let from = 0; from < kinds.length; from++) {
      const floats = Float32Array.from({ length: 48 }, (_, index) => kinds[(from + index) % (from + 1)]!);
      expect(unpacked(packed(bitsOf(floats)), 48)).toEqual(bitsOf(floats));
    }
    const payloads = Uint32Array.from({ length: 48 }, (_, index) => 0x7fc00000 + index);
    expect(unpacked(packed(payloads), 48)).toEqual(payloads);
  });

  it("makes numbers of similar size an eighth shorter, and zeros disappear", () => {
    const { normal } = randomStream(5, "probe");
    const numbers = bitsOf(Float32Array.from({ length: MOST }, (_, index) => 1 + Math.abs(normal(index))));
    const one = packed(numbers).length;
    expect(one).toBeLessThan(4 * MOST * 0.9);
    expect(packed(numbers.map((word, index) => (index % 2 === 0 ? word : 0))).length).toBeLessThan(0.58 * one);
    expect(packed(new Uint32Array(MOST))).toHaveLength(MOST / 32);
  });

  it("keeps as many packed segments as it is told to", () => {
    const segments = [1, 2, 3].map((value) => {
      arena.floats(place, 16).fill(value);
      return packing.pack(place, 64);
    });
    const kept = segments.map((segment) => segment.slice());
    expect(new Set(kept.map(String)).size).toBe(3);
    unpacked(kept[0]!, 16);
    expect(segments.map((segment) => segment.slice())).toEqual(kept);
    arena.floats(place, 16).fill(4);
    packing.pack(place, 64);
    expect(segments.map((segment) => segment.slice()).slice(1)).toEqual(kept.slice(1));
    expect(segments[0]!.slice()).not.toEqual(kept[0]);
  });
});

describe("bytes that are no packed words", () => {
  it("are refused if they end too soon or too late, and whatever they are, nothing is written beside the target", () => {
    fc.assert(
      fc.property(words, fc.uint8Array({ maxLength: 400 }), fc.nat(), fc.nat(255), (given, any, at, byte) => {
        const bytes = packed(given);
        // Changed bytes may be other words, of the same number.
        const changed = bytes.map((each, index) => (index === at % bytes.length ? byte : each));
        for (const hostile of [any, changed])
          for (const like of [undefined, given]) unpacked(hostile, given.length, like);
        for (let end = 0; end < bytes.length; end++)
          expect(unpacked(bytes.subarray(0, end), given.length)).toBeUndefined();
        expect(unpacked(Uint8Array.of(...bytes, 0x1f), given.length)).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ["nothing", []],
    ["a width of 36 bits", [0x09, 0, ...Array<number>(72).fill(0)]],
    ["a bit that is none", [0x28, 0, ...Array<number>(64).fill(0)]],
    ["a block that ends too soon", [0x08, 0, ...Array<number>(63).fill(1)]],
    ["a header that ends too soon", [0x18, 0, 1, 0, 0]],
    ["a word behind the last", [0x11, 0, 0, 0, 1, 0, 1, 0]],
    ["one byte more than the words", [0x1f, 0x1f]],
  ])("are refused: %s", (_, bytes) => expect(unpacked(Uint8Array.from(bytes), 16)).toBeUndefined());

  it("are not read further than 144 bytes behind their end", () => {
    const end = arena.memory.buffer.byteLength;
    const block = [0x08, 0, ...Array<number>(128).fill(1)];
    arena.bytes(end - 144, 144).fill(0x08);
    arena.bytes(end - 144 - block.length, block.length).set(block);
    expect(kernels.unpack(place, 0, end - 144 - block.length, block.length, MOST)).toBe(false);
  });

  it("are refused if they are more than a segment's", () =>
    expect(packing.unpack(new Uint8Array(1 << 20), place, 64)).toBe(false));
});
