import { describe, expect, it } from "vitest";
import type { Frame } from "../../../shared/protocol/codec.ts";
import { Outbox } from "../../../shared/protocol/outbox.ts";

/** A socket that takes what it is given and flushes when the test says so. */
function socket(): { outbox: Outbox; written: string[]; flush: (count: number) => void } {
  const written: string[] = [];
  const pending: (() => void)[] = [];
  const outbox = new Outbox((frame, flushed) => {
    written.push(frame.toString());
    if (!frame.toString().startsWith("control")) pending.push(flushed);
  });
  const flush = (count: number): void => {
    for (const flushed of pending.splice(0, count)) flushed();
  };
  return { outbox, written, flush };
}

const bulk = (name: string, count: number): Frame[] =>
  Array.from({ length: count }, (_, index) => [Buffer.from(`${name}${index}`)]);

describe("Outbox", () => {
  it("has at most four bulk frames unflushed, in order", () => {
    const { outbox, written, flush } = socket();
    outbox.sendBulk(bulk("a", 5), "a");
    outbox.sendBulk(bulk("b", 2), "b");
    expect(written).toEqual(["a0", "a1", "a2", "a3"]);
    flush(1);
    expect(written.slice(4)).toEqual(["a4"]);
    flush(2);
    expect(written.slice(5)).toEqual(["b0", "b1"]);
    flush(4);
    outbox.sendBulk(bulk("c", 6), "c");
    expect(written.slice(7)).toEqual(["c0", "c1", "c2", "c3"]);
  });

  it("lets control frames overtake bulk frames that wait, and counts them in no window", () => {
    const { outbox, written } = socket();
    outbox.sendBulk(bulk("a", 9), "a");
    for (let index = 0; index < 6; index++) outbox.send([Buffer.from(`control${index}`)]);
    expect(written.slice(4)).toEqual(["control0", "control1", "control2", "control3", "control4", "control5"]);
  });

  it("forgets bulk frames about one thing that wait, and sends the others in the same window", () => {
    const { outbox, written, flush } = socket();
    outbox.sendBulk(bulk("a", 9), "a");
    outbox.sendBulk(bulk("b", 2), "b");
    outbox.sendBulk(bulk("a", 1), "a");
    outbox.dropBulk("a");
    outbox.sendBulk(bulk("c", 2), "c");
    expect(written).toHaveLength(4);
    flush(1);
    expect(written.slice(4)).toEqual(["b0"]);
    flush(4);
    expect(written.slice(5)).toEqual(["b1", "c0", "c1"]);
  });

  it("goes on when the socket flushes at once", () => {
    const written: string[] = [];
    const outbox = new Outbox((frame, flushed) => {
      written.push(frame.toString());
      flushed();
    });
    outbox.sendBulk(bulk("a", 20), "a");
    expect(written).toHaveLength(20);
  });

  it("makes a bulk frame when it is its turn, and says when the last that was made is flushed", () => {
    const { outbox, flush } = socket();
    const events: string[] = [];
    function* made(name: string, count: number): Generator<Frame> {
      for (const frame of bulk(name, count)) {
        events.push(frame.toString());
        yield frame;
      }
    }
    outbox.sendBulk(made("a", 6), "a", () => events.push("a over"));
    outbox.sendBulk(made("b", 9), "b", () => events.push("b over"));
    outbox.sendBulk(made("c", 1), "c", () => events.push("c over"));
    expect(events.splice(0)).toEqual(["a0", "a1", "a2", "a3"]);
    flush(2);
    expect(events.splice(0)).toEqual(["a4", "a5"]);
    flush(1);
    expect(events.splice(0)).toEqual(["b0"]);
    outbox.dropBulk("b");
    flush(2);
    expect(events.splice(0)).toEqual(["c0"]);
    flush(1);
    expect(events.splice(0)).toEqual(["a over"]);
    flush(1);
    expect(events.splice(0)).toEqual(["b over"]);
    flush(1);
    expect(events.splice(0)).toEqual(["c over"]);
  });

  it("says at once that what waits whole is over when it is dropped", () => {
    const { outbox } = socket();
    const events: string[] = [];
    outbox.sendBulk(bulk("a", 9), "a");
    outbox.sendBulk(bulk("b", 9), "b", () => events.push("b over"));
    outbox.dropBulk("b");
    expect(events).toEqual(["b over"]);
  });

  it("says of everything that it is over, once, when the connection is closed", () => {
    const { outbox, written, flush } = socket();
    const events: string[] = [];
    outbox.sendBulk(bulk("a", 2), "a", () => events.push("a over"));
    outbox.sendBulk(bulk("b", 9), "b", () => events.push("b over"));
    outbox.close();
    outbox.sendBulk(bulk("c", 1), "c", () => events.push("c over"));
    flush(4);
    expect(events).toEqual(["a over", "b over", "c over"]);
    expect(written).toEqual(["a0", "a1", "b0", "b1"]);
  });
});
