import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CHUNK_BYTES, FrameReader } from "../../../shared/protocol/frame-reader.ts";

const BINARY = 2;
const CONTINUATION = 0;
const PING = 9;

/** A WebSocket frame around a payload, masked with a byte four times or not, which ends a message or not. */
function frame(payload: Buffer, masked: boolean, fin = true, opcode = BINARY, maskByte = 0): Buffer {
  const { length } = payload;
  const mask = masked ? 0x80 : 0;
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  header[0] = (fin ? 0x80 : 0) | opcode;
  header[1] = mask | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(length, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, Buffer.alloc(masked ? 4 : 0, maskByte), payload]);
}

/** What the reader hands on of these bytes, of which it is given so many at a time, or as many as it has room for. */
function read(reader: FrameReader, bytes: Buffer, most: (turn: number) => number): { all: Buffer; wholes: Buffer[] } {
  const handed: Buffer[] = [];
  const wholes: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const room = reader.room();
    if (room.length === 0) throw new Error("there is no room");
    const count = Math.min(room.length, Math.max(1, most(turn)), bytes.length - at);
    bytes.copy(room, 0, at, at + count);
    at += count;
    const piece = reader.took(count);
    if (piece === undefined) continue;
    const copy = Buffer.from(piece.bytes);
    handed.push(copy);
    if (piece.isWholePayload) wholes.push(copy);
  }
  return { all: Buffer.concat(handed), wholes };
}

const filled = (length: number, value: number): Buffer => Buffer.alloc(length, value);
const everything = (): number => Number.POSITIVE_INFINITY;

describe("FrameReader", () => {
  it("hands on every byte in order, and a long payload in one piece, however the bytes come", () => {
    const lengths = fc.constantFrom(
      0,
      1,
      125,
      126,
      1_000,
      CHUNK_BYTES,
      CHUNK_BYTES + 1,
      65_535,
      65_536,
      90_000,
      90_001,
    );
    fc.assert(
      fc.property(
        fc.array(fc.record({ length: lengths, masked: fc.boolean(), fin: fc.boolean() }), { maxLength: 6 }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 200_000 })), { minLength: 1 }),
        (frames, counts) => {
          const payloads = frames.map(({ length }, index) => filled(length, index + 1));
          const bytes = Buffer.concat(
            payloads.map((payload, index) => frame(payload, frames[index]!.masked, frames[index]!.fin)),
          );
          const reader = new FrameReader("frames");
          reader.gather(90_000);
          const { all, wholes } = read(reader, bytes, (turn) => counts[turn % counts.length]!);
          expect(all.equals(bytes)).toBe(true);
          // Those that end no message are kept by whoever they are handed to.
          const isGathered = ({ length, fin }: { length: number; fin: boolean }): boolean =>
            fin && length > CHUNK_BYTES && length <= 90_000;
          const long = payloads.filter((_, index) => isGathered(frames[index]!));
          expect(wholes.map(({ length }) => length)).toEqual(long.map(({ length }) => length));
          expect(wholes.every((whole, index) => whole.equals(long[index]!))).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("gathers nothing before it is told to, and keeps no more room than a chunk", () => {
    const reader = new FrameReader("frames");
    const bytes = frame(filled(80_000, 1), true);
    const { all, wholes } = read(reader, bytes, everything);
    expect([all.equals(bytes), wholes.length]).toEqual([true, 0]);
    expect(reader.room()).toHaveLength(CHUNK_BYTES);
    reader.gather(80_000);
    expect(read(reader, bytes, everything).wholes).toHaveLength(1);
  });

  it("uses the same buffer for every payload", () => {
    const reader = new FrameReader("frames");
    reader.gather(90_000);
    const buffers = [60_000, 90_000, 20_000].map((length) => {
      const bytes = frame(filled(length, 7), false);
      let last: Buffer | undefined;
      for (let at = 0; at < bytes.length;) {
        const room = reader.room();
        const count = bytes.copy(room, 0, at);
        at += count;
        last = reader.took(count)?.bytes;
      }
      expect(last).toHaveLength(length);
      return last!.buffer;
    });
    expect(new Set(buffers).size).toBe(1);
  });

  it("gathers a payload where it belongs, which the fragment in front of it tells, however the bytes come", () => {
    const arrivals = fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 200_000 })), {
      minLength: 1,
    });
    fc.assert(
      fc.property(fc.boolean(), arrivals, (masked, counts) => {
        const payloads = [50_000, 70_000, 60_000].map((length, index) => filled(length, index + 1));
        const fronts = payloads.map((_, index) => Buffer.from(`payload ${index}`.padEnd(1 + 9_000 * index)));
        const bytes = Buffer.concat(
          payloads.flatMap((payload, index) => [
            frame(fronts[index]!, masked, false),
            frame(filled(index, 0), masked, true, PING),
            frame(payload, masked, true, CONTINUATION),
          ]),
        );
        // The second has none.
        const memory = new Uint8Array(new SharedArrayBuffer(200_000)).fill(9);
        const rooms = [memory.subarray(10, 50_010), undefined, memory.subarray(100_000, 160_000)];
        const asked: string[] = [];
        let over = 0;
        const came: number[] = [];
        const reader = new FrameReader("frames");
        reader.gather(90_000, (front, length) => {
          const index = fronts.findIndex((each) => each.equals(front));
          asked.push(`${index} ${length}`);
          const room = rooms[index];
          return room && { bytes: room, came: (count) => came.push(index, count), over: () => (over += 1) };
        });
        const { all, wholes } = read(reader, bytes, (turn) => counts[turn % counts.length]!);
        expect(asked).toEqual(["0 50000", "1 70000", "2 60000"]);
        expect(all.equals(bytes)).toBe(true);
        expect(wholes.map((whole, index) => whole.equals(payloads[index]!))).toEqual([true, true, true]);
        const expected = new Uint8Array(200_000).fill(9).fill(1, 10, 50_010).fill(3, 100_000, 160_000);
        expect(Buffer.compare(memory, expected)).toBe(0);
        for (const [index, length] of [
          [0, 50_000],
          [2, 60_000],
        ]) {
          const reached = came.filter((_, at) => at % 2 === 1 && came[at - 1] === index);
          expect(reached).toEqual(reached.toSorted((left, right) => left - right));
          expect(reached.at(-1)).toBe(length);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("says once that a payload's room is left, when it is told so", () => {
    const reader = new FrameReader("frames");
    let over = 0;
    reader.gather(90_000, () => ({ bytes: new Uint8Array(50_000), came: () => {}, over: () => (over += 1) }));
    const bytes = Buffer.concat([
      frame(filled(5, 1), false, false),
      frame(filled(50_000, 2), false, true, CONTINUATION),
    ]);
    // Of one that is not whole, too: no more of it will come.
    for (const [index, part] of [bytes, bytes.subarray(0, 20_000)].entries()) {
      read(reader, part, everything);
      expect(over).toBe(index);
      reader.leaveRoom();
      reader.leaveRoom();
      expect(over).toBe(index + 1);
    }
  });

  it("looks for no room by what is masked, too long, another message's or in the same fragment", () => {
    const long = filled(50_000, 7);
    const cases: Record<string, Buffer[]> = {
      "masked front": [frame(filled(5, 1), true, false, BINARY, 3), frame(long, false, true, CONTINUATION)],
      "masked payload": [frame(filled(5, 1), false, false), frame(long, true, true, CONTINUATION, 3)],
      "long front": [frame(filled(65_537, 1), false, false), frame(long, false, true, CONTINUATION)],
      "a message behind one": [
        frame(filled(5, 1), false, false),
        frame(filled(5, 2), false, true, CONTINUATION),
        frame(long, false),
      ],
      "a fragment behind another message": [frame(filled(5, 1), false), frame(long, false, true, CONTINUATION)],
      "one fragment": [frame(long, false)],
    };
    const found = Object.entries(cases).map(([name, frames]) => {
      const reader = new FrameReader("frames");
      let asked = 0;
      reader.gather(90_000, () => void (asked += 1));
      const bytes = Buffer.concat(frames);
      const { all, wholes } = read(reader, bytes, everything);
      return { name, asked, isWhole: all.equals(bytes) && wholes.length === 1 };
    });
    expect(found).toEqual(Object.keys(cases).map((name) => ({ name, asked: 0, isWhole: true })));
  });

  it("finds the first frame behind the head of an HTTP response, however that comes", () => {
    const heads = ["HTTP/1.1 100 x\r\n\r\n", "HTTP/1.1 101 x\r\nupgrade: websocket\r\nx: \r\r\n\r\n"];
    const head = Buffer.from(heads.join(""), "latin1");
    for (const most of [1, 2, 3, 7, 1_000_000]) {
      const reader = new FrameReader("http");
      reader.gather(90_000);
      const payload = filled(50_000, 3);
      const bytes = Buffer.concat([head, frame(filled(5, 1), false), frame(payload, false)]);
      const { all, wholes } = read(reader, bytes, () => most);
      expect(all.equals(bytes)).toBe(true);
      expect(wholes.map((whole) => whole.equals(payload))).toEqual([true]);
    }
  });
});
