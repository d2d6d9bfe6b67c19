/** The production worker runtime is sent parameters in small segments, some of them before the step to them is taken. */
import { beforeEach, expect, it, vi } from "vitest";
import type * as Messages from "../../../shared/protocol/messages.ts";
import { vectorBytes } from "../../../shared/gradient/partial.ts";
import { stepNumber } from "../../../shared/ids.ts";
import { encodeFrame } from "../../../shared/protocol/codec.ts";
import type { ClientListener } from "../../../worker/client.ts";
import { WorkerRuntime } from "../../../worker/runtime.ts";
import { ManualClock, referencePool, token } from "../../fuzz/cluster.ts";
import { assignmentOf, nonce } from "../../fuzz/coordinator-frames.ts";
import { job } from "../../simulation/job.ts";
import { segmentsOf, vectorOf } from "../../support/vector.ts";
import { outboxTo } from "../../support/worker-outbox.ts";

vi.mock(import("../../../shared/protocol/messages.ts"), async (original) => {
  const messages: typeof Messages = await original();
  return { ...messages, SEGMENT_BYTES: 128 };
});

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** A worker that has joined, is to compute step 8, and what it has sent of its sum. */
async function joined(): Promise<{ listener: ClientListener; sent: Buffer[] }> {
  const clock = new ManualClock();
  const sent: Buffer[] = [];
  let listener: ClientListener | undefined;
  let own = "";
  const outbox = outboxTo((message, section) => {
    if (message.type === "hello") own = message.nonce;
    if (message.type === "partial") sent.push(Buffer.from(section));
  });
  const runtime = new WorkerRuntime({
    settings: { name: "a", version: job.settings.version, threads: 1, patience: 1e9, token },
    clock,
    connect: (given) => {
      listener = given;
      return { outbox, close: () => {}, terminate: () => {} };
    },
    openPool: async (plan) => referencePool(plan),
    random: () => 0,
    say: () => {},
  });
  runtime.finished.catch(() => {});
  clock.advance(1);
  listener!.onOpen();
  const say = (message: object): void => listener!.onFrame(encodeFrame(message as Messages.CoordinatorMessage));
  say({ type: "challenge", nonce });
  const proof = token.proof("coordinator", { coordinator: nonce, worker: own });
  say({ type: "welcome", run: "r", worker: "w", proof, plan: job.plan });
  await settle();
  say(assignmentOf("train", 8));
  return { listener: listener!, sent };
}

const bytes = vectorBytes(job.layouts.parameters);
const valuesOf = (factor: number): Uint8Array =>
  new Uint8Array(Float32Array.from({ length: bytes / 4 }, (_, index) => factor * Math.sin(index)).buffer);
const framesOf = (values: Uint8Array) =>
  segmentsOf(vectorOf(values)).map(({ segment, section }) =>
    encodeFrame({ type: "parameters", version: stepNumber(8), segment }, section),
  );

let right: ReturnType<typeof framesOf>;
let wrong: ReturnType<typeof framesOf>;
beforeEach(() => {
  [right, wrong] = [framesOf(valuesOf(0.5)), framesOf(valuesOf(-0.25))];
});

async function sumWith(...frames: ReturnType<typeof framesOf>): Promise<string> {
  const { listener, sent } = await joined();
  for (const frame of frames) listener.onFrame(frame);
  await settle();
  return Buffer.concat(sent).toString("hex");
}

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
