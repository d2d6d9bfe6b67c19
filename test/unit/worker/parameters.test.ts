/** The production worker runtime is sent parameters in small segments, some of them before the step to them is taken. */
import { beforeEach, expect, it, vi } from "vitest";
import type * as Messages from "../../../shared/protocol/messages.ts";
import { vectorBytes } from "../../../shared/gradient/partial.ts";
import { stepNumber } from "../../../shared/ids.ts";
import { Assembly } from "../../../shared/protocol/assembly.ts";
import { encodeFrame } from "../../../shared/protocol/codec.ts";
import type { ClientListener } from "../../../worker/client.ts";
import { assignmentOf } from "../../fuzz/coordinator-frames.ts";
import { job } from "../../simulation/job.ts";
import { joinedWorker, settle } from "../../support/joined-worker.ts";
import { segmentsOf, vectorOf } from "../../support/vector.ts";

vi.mock(import("../../../shared/protocol/messages.ts"), async (original) => {
  const messages: typeof Messages = await original();
  return { ...messages, SEGMENT_BYTES: 128, LONG_SEGMENT_BYTES: 256, LEAST_BUCKET_BYTES: 128 };
});

interface Sent {
  readonly segment: Messages.Segment;
  readonly section: Buffer;
}

/** A worker that is to compute step 8, what it has sent of its sum, packed or not, and which parameters came damaged. */
async function joined(packs: boolean): Promise<{ listener: ClientListener; sent: Sent[]; damaged: number[] }> {
  const sent: Sent[] = [];
  const damaged: number[] = [];
  const listener = await joinedWorker({ packs }, (message, section) => {
    if (message.type === "partial") sent.push({ segment: message.segment, section: Buffer.from(section) });
    if (message.type === "damaged") damaged.push(message.version);
  });
  listener.onFrame(encodeFrame(assignmentOf("train", 8)));
  return { listener, sent, damaged };
}

const bytes = vectorBytes(job.layouts.parameters);
const valuesOf = (factor: number): Uint8Array =>
  new Uint8Array(Float32Array.from({ length: bytes / 4 }, (_, index) => factor * Math.sin(index)).buffer);
const framesOf = (values: Uint8Array, packs = false, areShort = true) =>
  segmentsOf(vectorOf(values), packs, areShort).map(({ segment, section }) =>
    encodeFrame({ type: "parameters", version: stepNumber(8), segment }, section),
  );

let right: ReturnType<typeof framesOf>;
let wrong: ReturnType<typeof framesOf>;
beforeEach(() => {
  [right, wrong] = [framesOf(valuesOf(0.5)), framesOf(valuesOf(-0.25))];
});

async function sentWith(frames: ReturnType<typeof framesOf>, packs = false): Promise<Sent[]> {
  const { listener, sent } = await joined(packs);
  for (const frame of frames) listener.onFrame(frame);
  await settle();
  return sent;
}

const sumWith = async (...frames: ReturnType<typeof framesOf>): Promise<string> =>
  Buffer.concat((await sentWith(frames)).map(({ section }) => section)).toString("hex");

it("computes with what came ahead once the first segment is there, and not before", async () => {
  const [first, ...others] = right;
  expect(right.length).toBeGreaterThan(1);
  expect(await sumWith(...others.toReversed())).toBe("");
  const expected = await sumWith(...right);
  expect(expected).not.toBe("");
  expect(await sumWith(...others.toReversed(), first!)).toBe(expected);
});

it("computes with what came last of segments that came again before the first one", async () => {
  const expected = await sumWith(...right);
  expect(await sumWith(...wrong)).not.toBe(expected);
  expect(await sumWith(...wrong.slice(1).toReversed(), ...right.toReversed())).toBe(expected);
});

it("takes segments of several blocks as it takes those of one", async () => {
  const long = framesOf(valuesOf(0.5), false, false);
  expect(long.length).toBeLessThan(right.length);
  expect(await sumWith(...long)).toBe(await sumWith(...right));
});

it("packs its sum if it is told to, and takes packed parameters either way", async () => {
  const plain = await sentWith(right);
  const packed = await sentWith(framesOf(valuesOf(0.5), true), true);
  expect(new Set(plain.map((each) => each.segment.packed))).toEqual(new Set([undefined]));
  expect(packed.map((each) => each.segment.packed)).toContain("words");
  const unpacked = vectorOf(new Uint8Array(plain[0]!.segment.total));
  const assembly = new Assembly(unpacked);
  expect(packed.map((each) => assembly.take(each.segment, each.section)).at(-1)).toBe("complete");
  const sum = Buffer.concat(plain.toReversed().map(({ section }) => section));
  expect(Buffer.compare(unpacked.bytes, sum)).toBe(0);
});

it("does not use a damaged segment, says so, and takes it when it comes as it should be", async () => {
  const { listener, sent, damaged } = await joined(false);
  const [first, ...others] = right;
  const spoiled = first!.map((fragment) => Buffer.from(fragment));
  spoiled[1]![3]! ^= 1;
  for (const frame of [spoiled, ...others]) listener.onFrame(frame);
  await settle();
  expect([damaged, sent]).toEqual([[8], []]);
  listener.onFrame(first!);
  await settle();
  expect(Buffer.concat(sent.map(({ section }) => section)).toString("hex")).toBe(await sumWith(...right));
});
