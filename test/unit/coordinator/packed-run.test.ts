/** Production coordinator and workers: what is long travels packed between hosts, as it is on one, and the bits are the same. */
import { expect, it } from "vitest";
import { decodeFrame } from "../../../shared/protocol/codec.ts";
import type { Frame } from "../../../shared/protocol/codec.ts";
import type { CoordinatorMessage, WorkerMessage } from "../../../shared/protocol/messages.ts";
import { Cluster } from "../../fuzz/cluster.ts";

/** How the segments of a message's kind were packed in a run, each way once, in order; and the run's hash. */
async function run(isLocal: boolean): Promise<{ partial: string[]; parameters: string[]; hash: string }> {
  const cluster = new Cluster(1);
  cluster.isLocal = isLocal;
  for (const name of ["a", "b"]) cluster.startWorker(name);
  const seen = { partial: new Set<string>(), parameters: new Set<string>() };
  const look = (frame: Frame | undefined): void => {
    const message = frame && (decodeFrame(frame).header as WorkerMessage | CoordinatorMessage);
    if (message?.type !== "partial" && message?.type !== "parameters") return;
    seen[message.type].add(message.segment.packed ?? "as it is");
  };
  while (cluster.ended === undefined) {
    cluster.clock.advance(1);
    await cluster.deliver();
    look(cluster.heard.worker[0]);
    look(cluster.heard.coordinator[0]);
  }
  return { partial: [...seen.partial], parameters: [...seen.parameters], hash: cluster.hash };
}

it("packs between hosts, and not on one", async () => {
  const [apart, together] = [await run(false), await run(true)];
  expect(apart.partial).toContain("words");
  expect(apart.parameters).toContain("differences");
  expect(together).toEqual({ partial: ["as it is"], parameters: ["as it is"], hash: apart.hash });
});
