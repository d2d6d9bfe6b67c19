import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Assembly } from "../../../shared/protocol/assembly.ts";
import { LONG_SEGMENT_BYTES, SEGMENT_BYTES } from "../../../shared/protocol/messages.ts";
import { segmentOf } from "../../../shared/protocol/codec.ts";
import { segmentsOf, vectorOf } from "../../support/vector.ts";

/** Floats from 1 on, not in order. */
const vector = new Uint8Array(
  Float32Array.from({ length: (3 * SEGMENT_BYTES + 64) / 4 }, (_, index) => 1 + ((index * 31) % 251) / 64).buffer,
);
const segments = segmentsOf(vectorOf(vector), false, true);

describe("Assembly", () => {
  it("puts packed segments together, among others", () => {
    const target = vectorOf(new Uint8Array(vector.length));
    const assembly = new Assembly(target);
    const packed = segmentsOf(vectorOf(vector), true);
    expect(packed.map(({ segment }) => segment.packed)).toEqual(Array(4).fill("words"));
    expect(packed.every(({ segment, section }) => section.length < segment.length)).toBe(true);
    const said = [packed[0]!, segments[1]!, packed[2]!, packed[3]!].map((each) =>
      assembly.take(each.segment, each.section),
    );
    expect(said).toEqual(["partial", "partial", "partial", "complete"]);
    expect(Buffer.compare(target.bytes, vector)).toBe(0);
  });

  it("refuses packed segments that are damaged, too long, or not packed, and those that are and do not say so", () => {
    const target = vectorOf(new Uint8Array(vector.length));
    const assembly = new Assembly(target);
    const { segment, section } = segmentsOf(vectorOf(vector), true)[0]!;
    for (let at = 0; at < section.length; at += 997) {
      const damaged = section.slice();
      damaged[at]! ^= 1;
      expect(assembly.take(segment, damaged)).toBe("corrupt");
    }
    const { packed: _, ...unsaid } = segment;
    const long = Buffer.concat([section, Buffer.alloc(segment.length - section.length, 0x1f)]);
    for (const other of [
      section.subarray(1),
      Buffer.concat([section, Uint8Array.of(0x1f)]),
      long,
      segments[0]!.section,
    ])
      expect(assembly.take(segment, other)).toBe("corrupt");
    expect(assembly.take(unsaid, section)).toBe("corrupt");
    // There is nothing that it could differ from.
    expect(assembly.take({ ...segment, packed: "differences" }, section)).toBe("corrupt");
    expect(assembly.take(segment, section)).toBe("partial");
  });

  it("puts segments together in any order, and counts each once however often it comes", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }), (order) => {
        const target = vectorOf(new Uint8Array(vector.length));
        const assembly = new Assembly(target);
        const seen = new Set<number>();
        for (const index of order) {
          const isLast = !seen.has(index) && seen.size === 3;
          seen.add(index);
          const { segment, section } = segments[index]!;
          expect(assembly.take(segment, section)).toBe(isLast ? "complete" : "partial");
        }
        for (const index of seen) {
          const at = index * SEGMENT_BYTES;
          const [taken, sent] = [target.bytes, vector].map((bytes) => bytes.subarray(at, at + SEGMENT_BYTES));
          expect(Buffer.compare(taken!, sent!)).toBe(0);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("takes segments of several blocks, also where some of those are there", () => {
    const extents = { whole: [0, 4], front: [0, 2], middle: [1, 3], back: [2, 4] } as const;
    type Name = keyof typeof extents;
    const cut = (name: Name, from = vector): (typeof segments)[number] => {
      const [start, end] = extents[name].map((block) => Math.min(block * SEGMENT_BYTES, vector.length)) as [
        number,
        number,
      ];
      return segmentOf(vectorOf(from), { offset: start, length: end - start }, false);
    };
    const takeAll = (order: readonly Name[]): string[] => {
      const target = vectorOf(new Uint8Array(vector.length));
      const assembly = new Assembly(target);
      const said = order.map((name) => {
        const { segment, section } = cut(name);
        return `${assembly.take(segment, section)} ${assembly.front / SEGMENT_BYTES} ${assembly.back / SEGMENT_BYTES}`;
      });
      expect(Buffer.compare(target.bytes, vector)).toBe(0);
      return said;
    };
    const end = vector.length / SEGMENT_BYTES;
    expect(takeAll(["whole", "middle"])).toEqual([`complete ${end} 0`, `partial ${end} 0`]);
    expect(takeAll(["back", "front"])).toEqual(["partial 0 2", `complete ${end} 0`]);
    expect(takeAll(["back", "middle", "front"])).toEqual(["partial 0 2", "partial 0 1", `complete ${end} 0`]);
    expect(takeAll(["middle", "whole", "whole"])).toEqual([
      `partial 0 ${end}`,
      `complete ${end} 0`,
      `partial ${end} 0`,
    ]);
  });

  it("writes what is there no more, of a segment that has it too, and takes none of one that is damaged elsewhere", () => {
    const target = vectorOf(new Uint8Array(vector.length));
    const assembly = new Assembly(target);
    const two = { offset: 0, length: 2 * SEGMENT_BYTES };
    const { segment, section } = segments[0]!;
    expect(assembly.take(segment, section)).toBe("partial");
    const other = segmentOf(vectorOf(vector.map((byte) => byte ^ 1)), two, false);
    expect(assembly.take(other.segment, other.section)).toBe("corrupt");
    expect(Buffer.compare(target.bytes.subarray(0, SEGMENT_BYTES), section)).toBe(0);
    expect(assembly.front).toBe(SEGMENT_BYTES);
    const right = segmentOf(vectorOf(vector), two, false);
    expect(assembly.take(right.segment, right.section)).toBe("partial");
    expect(assembly.front).toBe(2 * SEGMENT_BYTES);
  });

  it("says how far it is whole from its front on", () => {
    const assembly = new Assembly(vectorOf(new Uint8Array(vector.length)));
    const fronts = [2, 0, 3, 1].map((index) => {
      const { segment, section } = segments[index]!;
      assembly.take(segment, section);
      return assembly.front;
    });
    expect(fronts).toEqual([0, SEGMENT_BYTES, SEGMENT_BYTES, vector.length]);
  });

  it("refuses damaged bytes and another vector's, and goes on as if they had not come", () => {
    const target = vectorOf(new Uint8Array(vector.length));
    const assembly = new Assembly(target);
    const { segment, section } = segments[0]!;
    const damaged = section.slice();
    damaged[5]! ^= 1;
    expect(assembly.take(segment, damaged)).toBe("corrupt");
    for (const changes of [
      { offset: 64 },
      { offset: 4 * SEGMENT_BYTES },
      { length: segment.length + 64 },
      { length: 2 * SEGMENT_BYTES },
      { length: 64 },
      { total: segment.total + 64 },
      { checksum: 1 },
    ]) {
      expect(assembly.take({ ...segment, ...changes }, section)).toBe("corrupt");
    }
    expect(assembly.take(segment, section.subarray(64))).toBe("corrupt");
    expect(segments.map((each) => assembly.take(each.segment, each.section))).toEqual([
      "partial",
      "partial",
      "partial",
      "complete",
    ]);
    expect(Buffer.compare(target.bytes, vector)).toBe(0);
    // A damaged copy of one that was taken changes nothing.
    expect(assembly.take(segment, damaged)).toBe("partial");
    expect(Buffer.compare(target.bytes, vector)).toBe(0);
  });

  it("refuses segments that are longer than they may be, or end where none begins", () => {
    const bytes = new Uint8Array(LONG_SEGMENT_BYTES + 2 * SEGMENT_BYTES);
    const [from, assembly] = [vectorOf(bytes), new Assembly(vectorOf(bytes))];
    const take = (offset: number, length: number): string => {
      const { segment, section } = segmentOf(from, { offset, length }, false);
      return assembly.take(segment, section);
    };
    expect(take(0, LONG_SEGMENT_BYTES + SEGMENT_BYTES)).toBe("corrupt");
    expect(take(0, SEGMENT_BYTES + 64)).toBe("corrupt");
    expect(take(0, LONG_SEGMENT_BYTES)).toBe("partial");
    const packed = segmentOf(from, { offset: LONG_SEGMENT_BYTES, length: 2 * SEGMENT_BYTES }, true);
    expect(packed.segment.packed).toBe("words");
    expect(assembly.take(packed.segment, packed.section)).toBe("corrupt");
    expect(take(LONG_SEGMENT_BYTES, 2 * SEGMENT_BYTES)).toBe("complete");
  });

  it("is not completed by an empty segment at the end of a vector of whole segments", () => {
    const bytes = vector.subarray(0, 2 * SEGMENT_BYTES);
    const assembly = new Assembly(vectorOf(new Uint8Array(bytes.length)));
    const [first, second] = segmentsOf(vectorOf(bytes), false, true);
    expect(assembly.take(first!.segment, first!.section)).toBe("partial");
    const nothing = new Uint8Array(0);
    const empty = {
      offset: bytes.length,
      length: 0,
      total: bytes.length,
      checksum: vectorOf(bytes).checksum(0, 0).value,
    };
    expect(assembly.take(empty, nothing)).toBe("corrupt");
    expect(assembly.take(second!.segment, second!.section)).toBe("complete");
  });

  it("tells from where on all is there", () => {
    const assembly = new Assembly(vectorOf(new Uint8Array(vector.length)));
    const backs = [1, 3, 2, 0].map((index) => {
      assembly.take(segments[index]!.segment, segments[index]!.section);
      return assembly.back / SEGMENT_BYTES;
    });
    expect(new Assembly(vectorOf(new Uint8Array(vector.length))).back).toBe(vector.length);
    expect(backs).toEqual([vector.length / SEGMENT_BYTES, 3, 1, 0]);
  });

  it("takes the last bytes of a segment that comes again where they count, and is completed once all the same", () => {
    const target = vectorOf(new Uint8Array(vector.length));
    const assembly = new Assembly(target, "last");
    const provisional = segmentsOf(vectorOf(vector.map((byte) => byte ^ 1)), false, true);
    const take = (each: (typeof segments)[number]): string => assembly.take(each.segment, each.section);
    expect([provisional[3]!, provisional[2]!].map(take)).toEqual(["partial", "partial"]);
    expect(segments.toReversed().map(take)).toEqual(["partial", "partial", "partial", "complete"]);
    expect(Buffer.compare(target.bytes, vector)).toBe(0);
    expect(segments.map(take)).toEqual(["partial", "partial", "partial", "partial"]);
    // They are in use now.
    expect(provisional.map(take)).toEqual(["partial", "partial", "partial", "partial"]);
    expect(Buffer.compare(target.bytes, vector)).toBe(0);
  });

  it("refuses a damaged segment that comes again where it would count, and misses it then", () => {
    const assembly = new Assembly(vectorOf(new Uint8Array(vector.length)), "last");
    const take = (index: number): string => assembly.take(segments[index]!.segment, segments[index]!.section);
    expect([3, 2, 1].map(take)).toEqual(["partial", "partial", "partial"]);
    expect(assembly.back).toBe(SEGMENT_BYTES);
    const damaged = segments[1]!.section.slice();
    damaged[5]! ^= 1;
    expect(assembly.take(segments[1]!.segment, damaged)).toBe("corrupt");
    expect(assembly.back).toBe(2 * SEGMENT_BYTES);
    expect(take(0)).toBe("partial");
    expect(assembly.front).toBe(SEGMENT_BYTES);
    expect(take(1)).toBe("complete");
  });

  it("has room for a segment that comes as it is, all of which is wanted, and takes it there without copying it", () => {
    const target = vectorOf(new Uint8Array(vector.length));
    const assembly = new Assembly(target);
    const { segment, section } = segments[1]!;
    const room = assembly.roomFor(segment, section.length)!.bytes;
    expect([room.buffer, room.byteOffset, room.length]).toEqual([
      target.bytes.buffer,
      target.bytes.byteOffset + segment.offset,
      segment.length,
    ]);
    room.set(section);
    room[5]! ^= 1;
    expect(assembly.take(segment, room)).toBe("corrupt");
    room[5]! ^= 1;
    expect(assembly.take(segment, room)).toBe("partial");
    expect(assembly.roomFor(segment, section.length)).toBeUndefined();
    const [first] = segmentsOf(vectorOf(vector), true);
    expect(assembly.roomFor(first!.segment, first!.section.length)).toBeUndefined();
    const other = segments[2]!.segment;
    expect(assembly.roomFor(other, other.length - 64)).toBeUndefined();
    expect(assembly.roomFor({ ...other, total: other.total + 64 }, other.length)).toBeUndefined();
    expect(assembly.roomFor(other, other.length)?.bytes).toHaveLength(other.length);
  });

  it("checks a segment as it comes to where it belongs, and finds what is damaged wherever that is", () => {
    const { segment, section } = segments[1]!;
    const steps = [0, 1, 65_535, 65_536, 200_000, section.length];
    for (const damaged of [undefined, 0, 65_535, 65_536, 199_999, section.length - 1]) {
      const assembly = new Assembly(vectorOf(new Uint8Array(vector.length)));
      const { bytes, came } = assembly.roomFor(segment, section.length)!;
      for (const [index, count] of steps.slice(1).entries()) {
        bytes.set(section.subarray(steps[index], count), steps[index]);
        if (damaged !== undefined && damaged >= steps[index]! && damaged < count) bytes[damaged]! ^= 1;
        came(count);
      }
      expect(assembly.take(segment, bytes)).toBe(damaged === undefined ? "partial" : "corrupt");
      // What comes again is checked anew.
      expect(assembly.take(segment, section)).toBe("partial");
    }
  });

  it("does not look at a segment again that was checked as it came, and takes no other for it", () => {
    const assembly = new Assembly(vectorOf(new Uint8Array(vector.length)));
    const arrive = (): Uint8Array => {
      const { bytes, came } = assembly.roomFor(segments[1]!.segment, SEGMENT_BYTES)!;
      bytes.set(segments[1]!.section);
      came(SEGMENT_BYTES);
      return bytes;
    };
    const { buffer, byteOffset } = arrive();
    const next = new Uint8Array(buffer, byteOffset + SEGMENT_BYTES, SEGMENT_BYTES);
    next.set(segments[2]!.section);
    expect(assembly.take(segments[2]!.segment, next)).toBe("partial");
    const both = { offset: SEGMENT_BYTES, length: 2 * SEGMENT_BYTES };
    const { segment } = segmentOf(vectorOf(vector), both, false);
    arrive();
    expect(assembly.take(segment, new Uint8Array(buffer, byteOffset, both.length))).toBe("partial");
    const other = new Assembly(vectorOf(new Uint8Array(vector.length)));
    const room = other.roomFor(segments[1]!.segment, SEGMENT_BYTES)!;
    room.bytes.set(segments[1]!.section);
    room.came(SEGMENT_BYTES);
    room.bytes.fill(0);
    expect(other.take(segments[1]!.segment, room.bytes)).toBe("partial");
  });

  it("checks the whole of what was given room and comes from elsewhere all the same, or comes again", () => {
    const { segment, section } = segments[1]!;
    const damaged = section.slice();
    damaged[5]! ^= 1;
    const assembly = new Assembly(vectorOf(new Uint8Array(vector.length)), "last");
    const arrive = (): Uint8Array => {
      const { bytes, came } = assembly.roomFor(segment, section.length)!;
      bytes.set(section);
      came(section.length);
      return bytes;
    };
    arrive();
    expect(assembly.take(segment, damaged)).toBe("corrupt");
    const bytes = arrive();
    expect(assembly.take(segment, bytes)).toBe("partial");
    bytes[5]! ^= 1;
    expect(assembly.take(segment, bytes)).toBe("corrupt");
    arrive();
    expect(assembly.take(segments[2]!.segment, segments[2]!.section)).toBe("partial");
    bytes[5]! ^= 1;
    expect(assembly.take(segment, bytes)).toBe("corrupt");
  });

  it("has no room where what is there may be in use, though what comes last counts", () => {
    const assembly = new Assembly(vectorOf(new Uint8Array(vector.length)), "last");
    for (const index of [0, 2]) assembly.take(segments[index]!.segment, segments[index]!.section);
    const hasRoom = segments.map(({ segment, section }) => assembly.roomFor(segment, section.length) !== undefined);
    expect(hasRoom).toEqual([false, true, true, true]);
  });
});
