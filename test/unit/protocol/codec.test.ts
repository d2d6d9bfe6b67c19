import fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { LockstepError } from "../../../shared/errors.ts";
import { stepNumber } from "../../../shared/ids.ts";
import { decodeFrame, encodeFrame, segmentsOf } from "../../../shared/protocol/codec.ts";
import { SEGMENT_BYTES } from "../../../shared/protocol/messages.ts";
import { vectorOf } from "../../support/vector.ts";
import type { WorkerMessage } from "../../../shared/protocol/messages.ts";
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

/** A frame with any bytes as its header. */
function frameOf(header: Uint8Array, announced = header.length): Buffer {
  const frame = Buffer.alloc(4 + header.length);
  frame.writeUInt32LE(announced, 0);
  frame.set(header, 4);
  return frame;
}

/** What a hostile frame must do: be refused with the code, in little time and memory. */
function expectRefused(frame: Buffer): void {
  const before = process.memoryUsage().rss;
  const start = performance.now();
  let caught: unknown;
  try {
    checkWorkerMessage(decodeFrame(frame).header);
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(LockstepError);
  expect((caught as LockstepError).code).toBe("PROTOCOL_VIOLATION");
  expect((caught as LockstepError).message.length).toBeLessThan(400);
  expect(performance.now() - start).toBeLessThan(1_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
}

describe("a frame", () => {
  it("gives back its message and its section, which lies at a multiple of eight", () => {
    for (let length = 0; length < 20; length++) {
      const message = hello("n".repeat(length));
      const section = Uint8Array.from({ length }, (_, index) => index + 1);
      const frame = encodeFrame(message, section);
      const decoded = decodeFrame(frame);
      expect(decoded.header).toEqual(message);
      expect([...decoded.section]).toEqual([...section]);
      expect((decoded.section.byteOffset - frame.byteOffset) % 8).toBe(0);
    }
  });

  it("holds a copy of its section", () => {
    const section = Uint8Array.of(1, 2, 3, 4);
    const frame = encodeFrame({ type: "leave" }, section);
    section.fill(9);
    expect([...decodeFrame(frame).section]).toEqual([1, 2, 3, 4]);
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

  it("may be cut off anywhere", () => {
    const frame = encodeFrame(hello("worker"));
    const header = 4 + frame.readUInt32LE(0);
    for (let length = 0; length < header; length++) expectRefused(frame.subarray(0, length));
  });

  it("may hold any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, framed) => {
        const frame = framed ? frameOf(bytes) : Buffer.from(bytes);
        try {
          checkWorkerMessage(decodeFrame(frame).header);
        } catch (error) {
          expect(error).toBeInstanceOf(LockstepError);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it("may announce a longer header than it holds", () => {
    const { header } = decodeFrame(encodeFrame({ type: "leave" }));
    const packed = new Packr({ useRecords: false }).pack(header);
    for (const more of [1, 4, 5]) expectRefused(frameOf(packed, packed.length + more));
    for (const announced of [9, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) expectRefused(frameOf(Buffer.alloc(8), announced));
  });

  it("may be a bomb: deep, or announcing more than it holds, also again and again", () => {
    const bombs = [
      Buffer.alloc(1_000_000, 0x91),
      Buffer.alloc(1_000_000, 0x81),
      Buffer.concat(Array.from({ length: 1_000 }, () => Buffer.from([0xdd, 0x01, 0xe0, 0, 0]))),
      ...[0xdd, 0xdf, 0xdb, 0xc6, 0xc9].map((token) => Buffer.from([token, 255, 255, 255, 255])),
    ];
    for (const bomb of bombs) expectRefused(frameOf(bomb));
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
        expectRefused(frameOf(packr.pack(header)));
      }
    }
  });

  it("may not define records, which would become generated code, nor refer to itself", () => {
    expectRefused(frameOf(new Packr({ useRecords: true }).pack({ type: "leave" })));
    const circular: { type: string; self?: unknown } = { type: "leave" };
    circular.self = circular;
    expect(() => decodeFrame(frameOf(new Packr({ structuredClone: true, useRecords: false }).pack(circular)))).toThrow(
      "is not msgpack",
    );
  });

  it("cannot reach a prototype", () => {
    const packed = new Packr({ useRecords: false }).pack({ type: "leave", xxproto__: { polluted: true } });
    const header = Buffer.from(packed.toString("latin1").replace("xxproto__", "__proto__"), "latin1");
    expectRefused(frameOf(header));
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});

describe("segments", () => {
  it("cover a vector in order, each at most a mebibyte and with its checksum", () => {
    for (const length of [64, SEGMENT_BYTES - 64, SEGMENT_BYTES, SEGMENT_BYTES + 64, 3 * SEGMENT_BYTES]) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 31) % 251);
      const segments = [...segmentsOf(vectorOf(bytes))];
      expect(segments).toHaveLength(Math.ceil(length / SEGMENT_BYTES));
      expect(Buffer.concat(segments.map(({ section }) => section)).equals(bytes)).toBe(true);
      for (const { segment, section } of segments) {
        expect(segment).toMatchObject({ length: section.length, total: length });
        expect(segment.checksum).toBe(vectorOf(section).checksum(0, section.length));
      }
    }
  });
});
