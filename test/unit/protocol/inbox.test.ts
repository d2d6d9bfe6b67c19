/** The frames of one connection as messages, some of which are looked at before they are whole. */
import { expect, test } from "vitest";
import { LockstepError } from "../../../shared/errors.ts";
import { stepNumber } from "../../../shared/ids.ts";
import { encodeFrame } from "../../../shared/protocol/codec.ts";
import { Inbox } from "../../../shared/protocol/inbox.ts";
import type { WorkerMessage } from "../../../shared/protocol/messages.ts";
import { checkWorkerMessage } from "../../../shared/protocol/validate.ts";

const leave: WorkerMessage = { type: "leave" };
const damaged: WorkerMessage = { type: "damaged", version: stepNumber(7) };
const section = Uint8Array.of(1, 2, 3, 4);

/** An inbox, and the headers that it checked. */
function counting(): { inbox: Inbox<WorkerMessage>; checked: unknown[] } {
  const checked: unknown[] = [];
  const inbox = new Inbox((header) => {
    checked.push(header);
    return checkWorkerMessage(header);
  });
  return { inbox, checked };
}

test("a header that was looked at before its section came is not checked again", () => {
  const { inbox, checked } = counting();
  const [header, payload] = encodeFrame(damaged, section);
  expect(inbox.peek(Buffer.from(header!))).toEqual(damaged);
  expect(inbox.read([header!, payload!])).toEqual({ message: damaged, section: Buffer.from(section) });
  expect(checked).toHaveLength(1);
  // Nor is what was looked at kept beyond its frame.
  expect(inbox.read([header!, payload!]).message).toEqual(damaged);
  expect(checked).toHaveLength(2);
});

test("a frame is what its own header says, whatever was looked at before", () => {
  const { inbox, checked } = counting();
  inbox.peek(encodeFrame(damaged)[0]!);
  expect(inbox.read(encodeFrame(leave))).toEqual({ message: leave, section: Buffer.alloc(0) });
  inbox.peek(encodeFrame(damaged)[0]!);
  expect(inbox.read(encodeFrame(leave, section)).message).toEqual(leave);
  expect(checked).toHaveLength(4);
});

test("what is no message is none to look at, and said of the whole frame", () => {
  const { inbox } = counting();
  for (const header of [Buffer.from([0xc1]), encodeFrame({ type: "welcome" } as never)[0]!]) {
    expect(inbox.peek(header)).toBeUndefined();
    expect(() => inbox.read([header, Buffer.from(section)])).toThrow(LockstepError);
  }
  const [header] = encodeFrame(damaged);
  inbox.peek(header!);
  expect(() => inbox.read([header!, Buffer.alloc(4), Buffer.alloc(4)])).toThrow("3 fragments");
});
