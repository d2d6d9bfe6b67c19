/** The production worker runtime, welcomed by a test that speaks as its coordinator; it computes in the test's own thread. */
import { encodeFrame } from "../../shared/protocol/codec.ts";
import { runId, workerId } from "../../shared/ids.ts";
import type { MemoryOffer, WorkerMessage } from "../../shared/protocol/messages.ts";
import type { ClientListener } from "../../worker/client.ts";
import { WorkerRuntime } from "../../worker/runtime.ts";
import { ManualClock, referencePool, token } from "../fuzz/cluster.ts";
import { nonce } from "../fuzz/coordinator-frames.ts";
import { job } from "../simulation/job.ts";
import { outboxTo } from "./worker-outbox.ts";

/** Resolves once what was said has had its effects. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** @param welcome how it sends what it computes; @param hear is given all that it says */
export async function joinedWorker(
  welcome: { readonly packs: boolean; readonly memory?: MemoryOffer },
  hear: (message: WorkerMessage, section: Uint8Array) => void,
): Promise<ClientListener> {
  const clock = new ManualClock();
  let listener: ClientListener | undefined;
  let own = "";
  const outbox = outboxTo((message, section) => {
    if (message.type === "hello") own = message.nonce;
    hear(message, section);
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
  listener!.onFrame(encodeFrame({ type: "challenge", nonce }));
  const proof = token.proof("coordinator", { coordinator: nonce, worker: own });
  listener!.onFrame(
    encodeFrame({ type: "welcome", run: runId("r"), worker: workerId("w"), proof, plan: job.plan, ...welcome }),
  );
  await settle();
  return listener!;
}
