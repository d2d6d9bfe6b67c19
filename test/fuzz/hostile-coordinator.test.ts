/**
 * Random, spoiled and out-of-order frames at the production worker runtime, from a coordinator that knows the token: the
 * worker survives or says a coded reason why not, keeps nothing, and computes the same sums afterwards.
 */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { LockstepError } from "../../shared/errors.ts";
import { encodeFrame } from "../../shared/protocol/codec.ts";
import type { ClientListener } from "../../worker/client.ts";
import { WorkerRuntime } from "../../worker/runtime.ts";
import { job } from "../simulation/job.ts";
import { ManualClock, referencePool, token } from "./cluster.ts";
import { anyFrame, assignmentOf, nonce, parametersOf } from "./coordinator-frames.ts";
import { Dice } from "./dice.ts";
import { memoryInUse } from "./memory.ts";
import { outboxTo } from "../support/worker-outbox.ts";

const FRAMES = 30_000;

test(`${FRAMES} frames of a coordinator that proves itself are survived`, async () => {
  const dice = new Dice(3);
  const clock = new ManualClock();
  let listener: ClientListener;
  let own = "";
  let sums: string[] = [];
  const connection = { isOpen: false };
  const defects: unknown[] = [];
  const start = (): { ended: boolean } => {
    const close = (): void => void (connection.isOpen = false);
    const outbox = outboxTo((message, section) => {
      if (message.type === "hello") own = message.nonce;
      if (message.type === "partial") sums.push(createHash("sha256").update(section).digest("hex"));
    });
    const runtime = new WorkerRuntime({
      settings: { name: "a", version: job.settings.version, threads: 1, patience: 1e9, token },
      clock,
      connect: (given) => {
        listener = given;
        connection.isOpen = true;
        setImmediate(() => given.onOpen());
        return { outbox, close, terminate: close };
      },
      openPool: async (plan) => referencePool(plan),
      random: () => 0,
      say: () => {},
    });
    const started = { ended: false };
    const onEnd = (error: unknown): void => {
      started.ended = true;
      if (error !== undefined && !(error instanceof LockstepError)) defects.push(error);
    };
    runtime.finished.then(() => onEnd(undefined), onEnd);
    return started;
  };
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  let worker = start();
  const join = async (plan: unknown = job.plan): Promise<void> => {
    if (worker.ended) worker = start();
    clock.advance(10_000);
    await settle();
    listener.onFrame(encodeFrame({ type: "challenge", nonce }));
    const proof = token.proof("coordinator", { coordinator: nonce, worker: own });
    listener.onFrame(dice.frame({ type: "welcome", run: "r", worker: "w", proof, plan, packs: true }));
    await settle();
  };
  /** What an honest assignment gives. */
  const honest = async (): Promise<string> => {
    await join();
    sums = [];
    listener.onFrame(encodeFrame(assignmentOf("train", 8)));
    listener.onFrame(parametersOf(8));
    await settle();
    return sums.join();
  };
  const expected = await honest();
  expect(expected).toMatch(/^[0-9a-f]{64}$/);
  listener!.onClose("gone");
  let slowest = 0;
  let middle = 0;
  for (let sent = 0; sent < FRAMES;) {
    await join(dice.chance(0.2) ? dice.spoiledMessage(job.plan) : job.plan);
    for (let frames = 5 + dice.below(60); frames > 0; frames--, sent++) {
      const begun = performance.now();
      listener!.onFrame(anyFrame(dice, []));
      slowest = Math.max(slowest, performance.now() - begun);
      if (sent === FRAMES / 2) middle = memoryInUse();
      if (!connection.isOpen && dice.chance(0.5)) break;
    }
    await settle();
    listener!.onClose("gone");
    sums = [];
  }
  expect(await honest()).toBe(expected);
  expect(defects).toEqual([]);
  expect(slowest).toBeLessThan(1_000);
  expect(memoryInUse() - middle).toBeLessThan(8 << 20);
}, 300_000);
