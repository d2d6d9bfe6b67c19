import { closeSync, constants, openSync, readSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { operatingSystem } from "../../../shared/system.ts";
import { LineReader, LineWriter } from "../../../shared/protocol/line.ts";

const system = operatingSystem();

function pipe(): { reading: number; writing: number; path: string } {
  const ends = new Int32Array(2);
  expect(system!.pipe2(ends, constants.O_NONBLOCK)).toBe(0);
  const [reading, writing] = ends as unknown as [number, number];
  return { reading, writing, path: `/proc/${process.pid}/fd/${writing}` };
}

describe.skipIf(system === undefined)("a line", () => {
  it("carries frames, whatever pieces they are read in", () => {
    const { reading, writing, path } = pipe();
    const writer = LineWriter.open({ path, id: "one" })!;
    const sent = ["first", "", "the third of them", "x".repeat(4092)];
    for (const text of sent) expect(writer.send(Buffer.from(text))).toBe(true);
    const bytes = Buffer.alloc(65_536);
    const whole = bytes.subarray(0, readSync(reading, bytes));
    for (const size of [1, 3, 7, whole.length]) {
      const received: string[] = [];
      const reader = new LineReader((frame) => received.push(frame.toString()));
      for (let at = 0; at < whole.length; at += size) reader.take(whole.subarray(at, at + size));
      expect(received).toEqual(sent);
    }
    writer.close();
    closeSync(reading);
    closeSync(writing);
  });

  it("says so when a frame is too long, the pipe is full, or nobody reads", () => {
    const { reading, writing, path } = pipe();
    const writer = LineWriter.open({ path, id: "one" })!;
    expect(writer.send(Buffer.alloc(4093))).toBe(false);
    let taken = 0;
    while (writer.send(Buffer.alloc(4000))) taken += 1;
    expect(taken).toBeGreaterThan(0);
    closeSync(reading);
    expect(writer.send(Buffer.alloc(4))).toBe(false);
    writer.close();
    closeSync(writing);
  });

  it("is not opened where something else is", () => {
    expect(LineWriter.open({ path: "/tmp/a-file", id: "one" })).toBeUndefined();
    expect(LineWriter.open({ path: `/proc/${process.pid}/fd/100000`, id: "one" })).toBeUndefined();
    const file = openSync(import.meta.filename, "r+");
    expect(LineWriter.open({ path: `/proc/${process.pid}/fd/${file}`, id: "one" })).toBeUndefined();
    closeSync(file);
  });

  it("ends at a length that no frame has", () => {
    const reader = new LineReader(() => {});
    expect(() => reader.take(Buffer.from([0xff, 0xff, 0, 0]))).toThrow("a line announces a frame of 65535 bytes");
  });
});
