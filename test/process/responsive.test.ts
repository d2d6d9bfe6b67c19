/** A worker's socket stays alive while its engine computes: heartbeats go out during a step that takes seconds. */
import { expect, onTestFinished, test } from "vitest";
import { runId, stepNumber, workerId } from "../../shared/ids.ts";
import { partialLayouts, vectorBytes } from "../../shared/gradient/partial.ts";
import { encodeGraph } from "../../shared/graph/serialise.ts";
import { openData } from "../../shared/data/open.ts";
import { compileModel } from "../../shared/nn/model.ts";
import { decodeFrame, encodeFrame } from "../../shared/protocol/codec.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import type { CoordinatorMessage, WorkerMessage } from "../../shared/protocol/messages.ts";
import { checkWorkerMessage } from "../../shared/protocol/validate.ts";
import { listen } from "../../coordinator/server/server.ts";
import type { Connection } from "../../coordinator/server/connection.ts";
import { worker } from "../support/lockstep.ts";
import { segmentsOf, vectorOf } from "../support/vector.ts";

const batch = 12_000;
const token = JoinToken.none;
const nonce = "5".repeat(64);
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

test("heartbeats arrive during a long call of the engine", async () => {
  let connection: Connection | undefined;
  let waiting: { type: string; found: (message: WorkerMessage) => void }[] = [];
  const heard: number[] = [];
  const send = (message: CoordinatorMessage, section?: Uint8Array): void =>
    connection!.outbox.send(encodeFrame(message, section));
  const next = <Type extends WorkerMessage["type"]>(type: Type): Promise<Extract<WorkerMessage, { type: Type }>> =>
    new Promise((found) => waiting.push({ type, found: found as (message: WorkerMessage) => void }));
  const partialBytes = vectorBytes(layouts.partial.train);
  const server = await listen({ host: "127.0.0.1", port: 0, token, maxConnections: 2, partialBytes });
  onTestFinished(() => server.close());
  server.serve({
    onConnection(opened) {
      connection = opened;
      send({ type: "challenge", nonce });
      return {
        onFrame(frame) {
          heard.push(performance.now());
          const message = checkWorkerMessage(decodeFrame(frame).header);
          for (const { found } of waiting.filter(({ type }) => type === message.type)) found(message);
          waiting = waiting.filter(({ type }) => type !== message.type);
        },
        onBytes() {},
        onClose() {},
      };
    },
    onRefused() {},
  });

  const hello = next("hello");
  worker([server.url, "--name", "busy"]);
  const { nonce: own } = await hello;
  connection!.proven();
  const ready = next("ready");
  send({
    type: "welcome",
    run: runId("test"),
    worker: workerId("w1"),
    proof: token.proof("coordinator", { coordinator: nonce, worker: own }),
    packs: false,
    plan: {
      seed: 1,
      data: { kind: "mnist" },
      validation: 0,
      dataMemory: 1024,
      augment: [],
      dataSha256: data.sha256,
      train: encodeGraph(model.train),
      evaluate: encodeGraph(model.evaluate),
      parameters: model.parameters.map(({ name, shape, frozen }) => ({ name, shape, frozen })),
      layoutHash: layouts.parameters.hash,
      metrics: model.metrics,
      evaluated: model.evaluated,
      batch,
      shards: 1,
      isLong: false,
      trace: false,
    },
  });
  await ready;

  const partial = next("partial");
  const begun = performance.now();
  const work = { kind: "train", step: stepNumber(0) } as const;
  send({ type: "assignment", work, works: 1, epoch: 0, offset: 0, samples: batch, shards: 1, nodes: [[0, 1]] });
  const parameters = new Uint8Array(4 * layouts.parameters.size);
  for (const { segment, section } of segmentsOf(vectorOf(parameters))) {
    send({ type: "parameters", version: stepNumber(0), segment }, section);
  }
  await partial;
  const ended = performance.now();
  const seconds = Math.floor((ended - begun) / 1000);
  // A blocked socket says nothing until the end; a free one a heartbeat a second, whatever else the machine is doing.
  expect(seconds, "the call must be long enough to show it").toBeGreaterThanOrEqual(2);
  const heartbeats = heard.filter((at) => at > begun && at < ended - 200);
  expect(heartbeats.length).toBeGreaterThanOrEqual(seconds - 1);
}, 300_000);
