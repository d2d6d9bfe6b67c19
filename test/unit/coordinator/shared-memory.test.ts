/** What the production coordinator runtime lends workers of its host, and to whom it lends it next. Linux only, as the memory itself. */
import { expect, it } from "vitest";
import { SharedMemory, sharedBytes } from "../../../coordinator/exchange/shared-memory.ts";
import { vectorBytes } from "../../../shared/gradient/partial.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { HostFile, pageFor, placedBytes } from "../../../shared/memory/host-memory.ts";
import { HOST_PAGE } from "../../../shared/system.ts";
import { decodeFrame, encodeFrame } from "../../../shared/protocol/codec.ts";
import { PROTOCOL_VERSION } from "../../../shared/protocol/messages.ts";
import { Outbox } from "../../../shared/protocol/outbox.ts";
import { checkCoordinatorMessage } from "../../../shared/protocol/validate.ts";
import { Cluster, token } from "../../fuzz/cluster.ts";
import { job } from "../../simulation/job.ts";
import { unknownLink } from "../../support/link.ts";

/** Whether a worker of this host that joins is offered memory; it goes as soon as it has been welcomed. */
function isOffered(cluster: Cluster): boolean {
  let challenge = "";
  let offered: boolean | undefined;
  const outbox = new Outbox((frame, flushed) => {
    const message = checkCoordinatorMessage(decodeFrame(frame).header);
    if (message.type === "challenge") challenge = message.nonce;
    if (message.type === "welcome") offered = message.memory !== undefined;
    flushed();
  });
  const connection = { outbox, token, isLocal: true, isOwn: false, ...unknownLink, proven() {}, close() {} };
  const handlers = cluster.runtime.onConnection(connection);
  const nonce = "b".repeat(64);
  const versions = { protocol: PROTOCOL_VERSION, version: job.settings.version };
  const proof = token.proof("worker", { coordinator: challenge, worker: nonce });
  handlers.onFrame(encodeFrame({ type: "hello", ...versions, name: "guest", threads: 1, nonce, proof }));
  handlers.onClose("the test says so");
  if (offered === undefined) throw new Error("the worker was not welcomed");
  return offered;
}

it.skipIf(process.platform !== "linux")(
  "lends what a worker that is gone had to another, once the step is over in which it may be read",
  async () => {
    const bytes = vectorBytes(job.layouts.partial.train);
    // For one worker.
    const room = pageFor(placedBytes(bytes)) + placedBytes(bytes);
    const file = HostFile.create(HOST_PAGE)!;
    const memory = new SharedMemory(new Arena(sharedBytes(bytes, room)), file, bytes, room);
    const cluster = new Cluster(1, () => undefined, memory);
    cluster.startWorker("a");
    const until = async (isSo: () => boolean): Promise<void> => {
      while (!isSo()) {
        cluster.clock.advance(1);
        await cluster.deliver();
      }
    };
    const { state } = cluster;
    await until(() => state.work !== undefined);
    expect([isOffered(cluster), isOffered(cluster)]).toEqual([true, false]);
    await until(() => state.steps > 0);
    expect(isOffered(cluster)).toBe(true);
    file.close();
  },
);
