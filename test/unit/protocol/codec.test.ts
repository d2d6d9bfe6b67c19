import fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { runId, stepNumber } from "../../../shared/ids.ts";
import {
  bytesOf,
  decodeFrame,
  encodeFrame,
  extentsBackFrom,
  extentsUntil,
  segmentFrameLimit,
} from "../../../shared/protocol/codec.ts";
import { LONG_SEGMENT_BYTES, MOST_CALLS, SEGMENT_BYTES } from "../../../shared/protocol/messages.ts";
import { refusal, refusalIfAny } from "../../support/errors.ts";
import { segmentsOf, vectorOf } from "../../support/vector.ts";
import type { EngineCall, WorkerMessage } from "../../../shared/protocol/messages.ts";
import { checkWorkerMessage } from "../../../shared/protocol/validate.ts";

const unproven = { nonce: "0".repeat(64), proof: "0".repeat(64) };
const hello = (name: string): WorkerMessage => ({
  type: "hello",
  protocol: 1,
  version: "1",
  name,
  threads: 2,
  ...unproven,
});

/** What a hostile frame must do: be refused with the code, in little time and memory. */
function expectRefused(...frame: Buffer[]): void {
  const before = process.memoryUsage().rss;
  const start = performance.now();
  const error = refusal(() => checkWorkerMessage(decodeFrame(frame).header));
  expect(error.code).toBe("PROTOCOL_VIOLATION");
  expect(error.message.length).toBeLessThan(400);
  expect(performance.now() - start).toBeLessThan(1_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
}

describe("a frame", () => {
  it("gives back its message and its section, in a fragment of its own, or none", () => {
    for (let length = 1; length < 20; length++) {
      const message = hello("n".repeat(length));
      const section = Uint8Array.from({ length }, (_, index) => index + 1);
      const frame = encodeFrame(message, section);
      expect(frame).toHaveLength(2);
      expect(decodeFrame(frame)).toEqual({ header: message, section: Buffer.from(section) });
      expect(encodeFrame(message)).toHaveLength(1);
      expect(decodeFrame(encodeFrame(message))).toEqual({ header: message, section: Buffer.alloc(0) });
      expect(bytesOf(frame)).toBe(frame[0]!.length + length);
    }
  });

  it("refers to its section, wherever in memory it lies", () => {
    const memory = new Uint8Array(new SharedArrayBuffer(12));
    const [, sent] = encodeFrame({ type: "leave" }, memory.subarray(4, 8));
    memory.set([1, 2, 3, 4], 4);
    expect([...sent!]).toEqual([1, 2, 3, 4]);
  });

  it("holds nothing of the bytes it was read from", () => {
    const bytes = Buffer.from(
      new Packr({ useRecords: false }).pack({ type: "x", value: Buffer.from("kept"), list: ["word"] }),
    );
    const { header } = decodeFrame([bytes]);
    bytes.fill(0);
    expect(header).toEqual({ type: "x", value: Buffer.from("kept"), list: ["word"] });
  });

  it("fits into its limit also where it tells of as many calls of the engine as it may", () => {
    const big = Number.MAX_SAFE_INTEGER;
    const calls = Array.from({ length: MOST_CALLS }, (): EngineCall => [big, big, big, big, big]);
    const timing = { sent: big, encode: big, received: [big, big], calls } as const;
    const segment = { offset: big, length: big, total: big, checksum: 2 ** 32 - 1 };
    const work = { kind: "evaluate", step: stepNumber(big) } as const;
    const partial = {
      type: "partial",
      run: runId("r".repeat(64)),
      work,
      node: [big, big],
      computeMicroseconds: big,
    } as const;
    const frame = encodeFrame({ ...partial, segment, timing }, new Uint8Array(64));
    expect(bytesOf(frame)).toBeLessThanOrEqual(segmentFrameLimit(64, false));
  });

  it("has one fragment or two", () => {
    const leave = encodeFrame({ type: "leave" })[0]!;
    expectRefused();
    expectRefused(leave, Buffer.alloc(4), Buffer.alloc(4));
    expect(() => decodeFrame([leave, Buffer.alloc(4)])).not.toThrow();
  });

  it("carries every whole number exactly", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (step) => {
        const message = {
          type: "parameters",
          version: stepNumber(step),
          segment: { offset: 0, length: 0, total: step, checksum: 0 },
        } as const;
        expect(decodeFrame(encodeFrame(message)).header).toEqual(message);
      }),
    );
  });

  it("may be cut off anywhere, or have something behind its header", () => {
    const header = encodeFrame(hello("worker"))[0]!;
    for (let length = 0; length < header.length; length++) expectRefused(header.subarray(0, length));
    for (const more of [0x00, 0x80, 0xc0]) expectRefused(Buffer.concat([header, Buffer.of(more)]));
  });

  it("of any bytes is refused with a code", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 3 }), (fragments) => {
        expectRefused(...fragments.map((bytes) => Buffer.from(bytes)));
      }),
      { numRuns: 3_000 },
    );
  });

  it("of a message is read or refused with a code, whichever of its bytes is another", () => {
    const [header] = encodeFrame(hello("worker"));
    const refused = Array.from(header!.keys(), (at) => {
      const changed = Buffer.from(header!);
      changed[at]! ^= 1;
      return refusalIfAny(() => checkWorkerMessage(decodeFrame([changed]).header)) !== undefined;
    });
    expect(new Set(refused)).toEqual(new Set([true, false]));
  });

  it("may be a bomb: deep, or announcing more than it holds, also again and again", () => {
    const bombs = [
      Buffer.alloc(1_000_000, 0x91),
      Buffer.alloc(1_000_000, 0x81),
      Buffer.concat(Array.from({ length: 1_000 }, () => Buffer.from([0xdd, 0x01, 0xe0, 0, 0]))),
      ...[0xdd, 0xdf, 0xdb, 0xc6, 0xc9].map((token) => Buffer.from([token, 255, 255, 255, 255])),
    ];
    for (const bomb of bombs) expectRefused(bomb);
  });

  it("may hold types that are no plain values: dates, errors, sets, expressions, typed arrays, big numbers", () => {
    const packr = new Packr({ useRecords: false, moreTypes: true });
    const values = [
      new Date(),
      new Error("no"),
      new Set([1]),
      /a/,
      new Float32Array(2),
      2n ** 63n,
      null,
      undefined,
      1,
      [],
    ];
    for (const value of values) {
      for (const header of [value, { type: value }, { type: "leave", value }, { type: "hello", name: value }]) {
        expectRefused(packr.pack(header));
      }
    }
  });

  it("may not define records, which would become generated code, nor refer to itself", () => {
    expectRefused(new Packr({ useRecords: true }).pack({ type: "leave" }));
    const circular: { type: string; self?: unknown } = { type: "leave" };
    circular.self = circular;
    expect(() => decodeFrame([new Packr({ structuredClone: true, useRecords: false }).pack(circular)])).toThrow(
      "is not msgpack",
    );
  });

  it("cannot reach a prototype", () => {
    const packed = new Packr({ useRecords: false }).pack({ type: "leave", xxproto__: { polluted: true } });
    const header = Buffer.from(packed.toString("latin1").replace("xxproto__", "__proto__"), "latin1");
    expectRefused(header);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});

describe("segments", () => {
  it.each([
    ["long where they travel as they are", false, LONG_SEGMENT_BYTES],
    ["short where they travel packed", true, SEGMENT_BYTES],
  ])("cover a vector in order, %s, each with its checksum", (_, packs, longest) => {
    for (const length of [64, longest - 64, longest, longest + 64, 3 * longest]) {
      // Nothing of it is shorter when it is packed.
      const words = Uint32Array.from({ length: length / 4 }, (_each, index) => Math.imul(index, 0x9e3779b1));
      const bytes = new Uint8Array(words.buffer);
      const segments = segmentsOf(vectorOf(bytes), packs);
      expect(segments).toHaveLength(Math.ceil(length / longest));
      expect(Buffer.concat(segments.map(({ section }) => section)).equals(bytes)).toBe(true);
      for (const { segment, section } of segments) {
        expect(segment).toMatchObject({ length: section.length, total: length });
        expect(segment.checksum).toBe(vectorOf(section).checksum(0, section.length).value);
      }
    }
  });

  it("are packed where that is wanted and makes them shorter, with the checksum of what they were", () => {
    const floats = Float32Array.from({ length: SEGMENT_BYTES / 2 }, (_, index) => 1 + index / SEGMENT_BYTES);
    const any = new Uint32Array(floats.buffer, SEGMENT_BYTES);
    any.forEach((_, index) => (any[index] = Math.imul(index, 0x9e3779b1)));
    const vector = vectorOf(new Uint8Array(floats.buffer));
    const packs = segmentsOf(vector, true);
    const plain = segmentsOf(vector, false, true);
    expect(plain.map(({ segment }) => segment.packed)).toEqual([undefined, undefined]);
    expect(packs.map(({ segment }) => segment.packed)).toEqual(["words", undefined]);
    expect(packs[0]!.section.length).toBeLessThan(0.9 * SEGMENT_BYTES);
    expect(packs[0]!.segment).toEqual({ ...plain[0]!.segment, packed: "words" });
    expect(packs[1]).toEqual(plain[1]);
  });

  it("come from the last to the first where they are a partial's, and in parts", () => {
    const long = LONG_SEGMENT_BYTES / SEGMENT_BYTES;
    const length = 2 * LONG_SEGMENT_BYTES + SEGMENT_BYTES + 64;
    const cuts = (packs: boolean, from = 0, until = length): number[] => {
      const extents = [...extentsBackFrom(until, packs, from)];
      extents.forEach((each, index) => expect(each.offset + each.length).toBe(extents[index - 1]?.offset ?? until));
      return extents.map(({ offset }) => offset / SEGMENT_BYTES);
    };
    expect(cuts(true)).toEqual(Array.from({ length: 2 * long + 2 }, (_, index) => 2 * long + 1 - index));
    expect(cuts(true, 2 * SEGMENT_BYTES, 4 * SEGMENT_BYTES)).toEqual([3, 2]);
    expect(cuts(true, 0, SEGMENT_BYTES)).toEqual([0]);
    expect(cuts(false)).toEqual([2 * long, long, 0]);
    expect(cuts(false, 3 * SEGMENT_BYTES)).toEqual([2 * long, long, 3]);
    expect(cuts(false, 0, 3 * SEGMENT_BYTES)).toEqual([0]);
    expect(cuts(false, 5 * SEGMENT_BYTES, 7 * SEGMENT_BYTES)).toEqual([5]);
    for (const packs of [true, false])
      expect([...extentsBackFrom(length, packs)].toReversed()).toEqual([...extentsUntil(length, packs)]);
  });
});
