/** When the production worker runtime opens another pool: memory that a coordinator shares changes what computes, or one has failed. */
import { expect, it, vi } from "vitest";
import type { ComputePool } from "../../../shared/compute/pool.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { encodeFrame } from "../../../shared/protocol/codec.ts";
import type { CoordinatorMessage, MemoryOffer, RunPlan, WorkerMessage } from "../../../shared/protocol/messages.ts";
import type { ClientListener } from "../../../worker/client.ts";
import { WorkerRuntime } from "../../../worker/runtime.ts";
import { ManualClock, referencePool, token } from "../../fuzz/cluster.ts";
import { badOffer, nonce } from "../../fuzz/coordinator-frames.ts";
import { job } from "../../simulation/job.ts";
import { outboxTo } from "../../support/worker-outbox.ts";

interface Joining {
  /** The types of what the worker has sent. */
  readonly answers: WorkerMessage["type"][];
  readonly welcome: (memory?: MemoryOffer, run?: string) => void;
  readonly lose: () => void;
  /** It is welcomed, and its connection is lost once it has answered. */
  readonly join: (memory?: MemoryOffer, answer?: WorkerMessage["type"]) => Promise<void>;
}

function workerWith(openPool: (plan: RunPlan, isApart: boolean) => ComputePool | Promise<ComputePool>): Joining {
  const clock = new ManualClock();
  let listener: ClientListener | undefined;
  let own = "";
  const answers: WorkerMessage["type"][] = [];
  const outbox = outboxTo((message) => {
    if (message.type === "hello") own = message.nonce;
    answers.push(message.type);
  });
  const runtime = new WorkerRuntime({
    settings: { name: "a", version: job.settings.version, threads: 1, patience: 1e9, token },
    clock,
    connect: (given) => {
      listener = given;
      return { outbox, close: () => {}, terminate: () => {} };
    },
    openPool: async (plan, isApart) => openPool(plan, isApart),
    random: () => 0,
    say: () => {},
  });
  runtime.finished.catch(() => {});
  const welcome: Joining["welcome"] = (memory, run = "r") => {
    answers.length = 0;
    clock.advance(5_000);
    listener!.onOpen();
    const say = (message: object): void => listener!.onFrame(encodeFrame(message as CoordinatorMessage));
    say({ type: "challenge", nonce });
    const proof = token.proof("coordinator", { coordinator: nonce, worker: own });
    say({ type: "welcome", run, worker: "w", proof, plan: job.plan, packs: false, ...(memory && { memory }) });
  };
  const lose = (): void => listener!.onClose("the test says so");
  const join: Joining["join"] = async (memory, answer = "ready") => {
    welcome(memory);
    await expect.poll(() => answers).toContain(answer);
    lose();
  };
  return { answers, welcome, lose, join };
}

it("opens a pool for memory that is offered, another where none is, and keeps it over reconnects", async () => {
  const opened: boolean[] = [];
  const { join } = workerWith((plan, isApart) => {
    opened.push(isApart);
    return referencePool(plan);
  });
  await join();
  await join();
  expect(opened).toEqual([true]);
  await join(badOffer);
  await join(badOffer);
  expect(opened).toEqual([true, false]);
  await join();
  expect(opened).toEqual([true, false, true]);
});

it("closes a pool whose arithmetic cannot be probed", async () => {
  const events: string[] = [];
  const { join } = workerWith((plan) => {
    const pool = referencePool(plan);
    events.push("open");
    vi.spyOn(pool, "fingerprint").mockRejectedValue(new LockstepError("GRAPH_INVALID", "no such operation"));
    const close = pool.close.bind(pool);
    vi.spyOn(pool, "close").mockImplementation(() => {
      events.push("close");
      return close();
    });
    return pool;
  });
  await join(undefined, "failed");
  await expect.poll(() => events).toEqual(["open", "close"]);
});

it("answers only the coordinator that welcomed it last with a pool that both wait for", async () => {
  const opened = Promise.withResolvers<ComputePool>();
  const { answers, welcome, lose } = workerWith(() => opened.promise);
  welcome(undefined, "first");
  lose();
  welcome(undefined, "second");
  const pool = referencePool(job.plan);
  const share = vi.spyOn(pool.memory, "share");
  opened.resolve(pool);
  await expect.poll(() => answers).toContain("ready");
  expect(share.mock.calls.map(([run]) => run)).toEqual(["second"]);
  expect(answers.filter((type) => type === "ready")).toHaveLength(1);
});
