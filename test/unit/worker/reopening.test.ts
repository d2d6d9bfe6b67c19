/** When the production worker runtime opens another pool: memory that a coordinator shares changes what computes. */
import { expect, it } from "vitest";
import { encodeFrame } from "../../../shared/protocol/codec.ts";
import type { CoordinatorMessage, MemoryOffer } from "../../../shared/protocol/messages.ts";
import type { ClientListener } from "../../../worker/client.ts";
import { WorkerRuntime } from "../../../worker/runtime.ts";
import { ManualClock, referencePool, token } from "../../fuzz/cluster.ts";
import { badOffer, nonce } from "../../fuzz/coordinator-frames.ts";
import { job } from "../../simulation/job.ts";
import { outboxTo } from "../../support/worker-outbox.ts";

it("opens a pool for memory that is offered, another where none is, and keeps it over reconnects", async () => {
  const clock = new ManualClock();
  const opened: boolean[] = [];
  let listener: ClientListener | undefined;
  let own = "";
  let ready = 0;
  const outbox = outboxTo((message) => {
    if (message.type === "hello") own = message.nonce;
    if (message.type === "ready") ready += 1;
  });
  const runtime = new WorkerRuntime({
    settings: { name: "a", version: job.settings.version, threads: 1, patience: 1e9, token },
    clock,
    connect: (given) => {
      listener = given;
      return { outbox, close: () => {}, terminate: () => {} };
    },
    openPool: async (plan, isApart) => {
      opened.push(isApart);
      return referencePool(plan);
    },
    random: () => 0,
    say: () => {},
  });
  runtime.finished.catch(() => {});
  const join = async (memory?: MemoryOffer): Promise<void> => {
    const before = ready;
    clock.advance(5_000);
    listener!.onOpen();
    const say = (message: object): void => listener!.onFrame(encodeFrame(message as CoordinatorMessage));
    say({ type: "challenge", nonce });
    const proof = token.proof("coordinator", { coordinator: nonce, worker: own });
    say({ type: "welcome", run: "r", worker: "w", proof, plan: job.plan, packs: false, ...(memory && { memory }) });
    await expect.poll(() => ready).toBe(before + 1);
    listener!.onClose("the test says so");
  };
  await join();
  await join();
  expect(opened).toEqual([true]);
  await join(badOffer);
  await join(badOffer);
  expect(opened).toEqual([true, false]);
  await join();
  expect(opened).toEqual([true, false, true]);
});
