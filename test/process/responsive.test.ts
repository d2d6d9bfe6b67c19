/** A worker's socket stays alive while its engine computes: heartbeats go out during a step that takes seconds. */
import { expect, onTestFinished, test } from "vitest";
import { runId, stepNumber, workerId } from "../../shared/ids.ts";
import { partialLayouts } from "../../shared/gradient/partial.ts";
import { encodeGraph } from "../../shared/graph/serialise.ts";
import { openData } from "../../shared/data/open.ts";
import { compileModel } from "../../shared/nn/model.ts";
import { decodeFrame, encodeFrame, segmentsOf } from "../../shared/protocol/codec.ts";
import type { CoordinatorMessage, WorkerMessage } from "../../shared/protocol/messages.ts";
import { checkWorkerMessage } from "../../shared/protocol/validate.ts";
import { listen } from "../../coordinator/server.ts";
import type { Connection } from "../../coordinator/server.ts";
import { worker } from "../support/lockstep.ts";

const batch = 12_000;
const data = await openData({ kind: "mnist" });
const model = compileModel({
  inputShape: [28, 28],
  target: { kind: "class", classes: 10 },
  layers: [
    { kind: "dense", units: 2048, activation: "relu" },
    { kind: "dense", units: 1024, activation: "relu" },
    { kind: "dense", units: 10 },
  ],
  loss: { kind: "crossEntropy" },
});
const layouts = partialLayouts(model.parameters, model.metrics);

test("heartbeats arrive at least every 1.5 s during a long call of the engine", async () => {
  let connection: Connection | undefined;
  let waiting: { type: string; found: (message: WorkerMessage) => void }[] = [];
  const heard: number[] = [];
  const send = (message: CoordinatorMessage, section?: Uint8Array): void =>
    connection!.outbox.send(encodeFrame(message, section));
  const next = (type: WorkerMessage["type"]): Promise<WorkerMessage> =>
    new Promise((found) => waiting.push({ type, found }));
  const server = await listen("127.0.0.1", 0);
  onTestFinished(() => server.close());
  server.serve({
    onConnection(opened) {
      connection = opened;
      return {
        onFrame(frame) {
          heard.push(performance.now());
          const message = checkWorkerMessage(decodeFrame(frame).header);
          for (const { found } of waiting.filter(({ type }) => type === message.type)) found(message);
          waiting = waiting.filter(({ type }) => type !== message.type);
        },
        onClose() {},
      };
    },
  });

  const hello = next("hello");
  worker([server.url, "--name", "busy"]);
  await hello;
  const ready = next("ready");
  send({
    type: "welcome",
    run: runId("test"),
    worker: workerId("w1"),
    plan: {
      seed: 1,
      data: { kind: "mnist" },
      dataSha256: data.sha256,
      train: encodeGraph(model.train),
      evaluate: encodeGraph(model.evaluate),
      parameters: model.parameters.map(({ name, shape }) => ({ name, shape })),
      layoutHash: layouts.parameters.hash,
      metrics: model.metrics,
      batch,
      shards: 1,
    },
  });
  await ready;

  const partial = next("partial");
  const begun = performance.now();
  const work = { kind: "train", step: stepNumber(0) } as const;
  send({ type: "assignment", work, epoch: 0, offset: 0, samples: batch, shards: 1, nodes: [[0, 1]] });
  const parameters = new Uint8Array(4 * layouts.parameters.size);
  for (const { segment, section } of segmentsOf(parameters)) {
    send({ type: "parameters", version: stepNumber(0), segment }, section);
  }
  await partial;
  const ended = performance.now();
  // Long enough that a blocked socket would show: a heartbeat is due every second.
  expect(ended - begun).toBeGreaterThan(2_500);
  const moments = [begun, ...heard.filter((at) => at > begun && at < ended), ended];
  const longest = Math.max(...moments.slice(1).map((at, index) => at - moments[index]!));
  expect(longest).toBeLessThan(1_500);
}, 120_000);
