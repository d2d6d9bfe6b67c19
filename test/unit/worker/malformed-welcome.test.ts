/** A welcome that the production worker runtime cannot read ends it: the next one would be the same. */
import { expect, it } from "vitest";
import { encodeFrame } from "../../../shared/protocol/codec.ts";
import type { CoordinatorMessage } from "../../../shared/protocol/messages.ts";
import type { ClientListener } from "../../../worker/client.ts";
import { WorkerRuntime } from "../../../worker/runtime.ts";
import { ManualClock, referencePool, token } from "../../fuzz/cluster.ts";
import { nonce } from "../../fuzz/coordinator-frames.ts";
import { job } from "../../simulation/job.ts";
import { outboxTo } from "../../support/worker-outbox.ts";

it("a worker whose welcome is malformed ends with what is wrong in it, while other garbage costs it the connection", async () => {
  const clock = new ManualClock();
  let listener: ClientListener | undefined;
  let connections = 0;
  const runtime = new WorkerRuntime({
    settings: { name: "a", version: job.settings.version, threads: 1, patience: 1e9, token },
    clock,
    connect: (given) => {
      listener = given;
      connections += 1;
      return { outbox: outboxTo(() => {}), close: () => {}, terminate: () => given.onClose("cut") };
    },
    openPool: async (plan) => referencePool(plan),
    random: () => 0,
    say: () => {},
  });
  const say = (message: object): void => listener!.onFrame(encodeFrame(message as CoordinatorMessage));
  clock.advance(5_000);
  listener!.onOpen();
  say({ type: "challenge", nonce: "none" });
  clock.advance(5_000);
  expect(connections).toBe(2);
  listener!.onOpen();
  say({ type: "challenge", nonce });
  const plan = { ...job.plan, dataSha256: "none" };
  say({ type: "welcome", run: "r", worker: "w", proof: "0".repeat(64), plan, packs: false });
  await expect(runtime.finished).rejects.toMatchObject({
    code: "PROTOCOL_VIOLATION",
    message: expect.stringContaining("the coordinator sent a malformed welcome: /plan/dataSha256"),
    hint: expect.stringContaining("must run the same Lockstep"),
  });
  expect(connections).toBe(2);
});
