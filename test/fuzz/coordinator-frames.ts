/** What a fuzzer says to a worker: everything a coordinator may say, at any time, spoiled or not, and plain noise. */
import { vectorBytes } from "../../shared/gradient/partial.ts";
import { runId, stepNumber, workerId } from "../../shared/ids.ts";
import { encodeFrame } from "../../shared/protocol/codec.ts";
import type { Frame } from "../../shared/protocol/codec.ts";
import { MOST_WORKS_AHEAD } from "../../shared/protocol/messages.ts";
import type { Assignment, MemoryOffer, CoordinatorMessage } from "../../shared/protocol/messages.ts";
import { job } from "../simulation/job.ts";
import type { Dice } from "./dice.ts";
import { segmentsOf, vectorOf } from "../support/vector.ts";

/** The nonce of every challenge. */
export const nonce = "c".repeat(64);

/** The parameters of a version, all in one segment. */
export function parametersOf(version: number, packs = false): Frame {
  const bytes = new Uint8Array(vectorBytes(job.layouts.parameters)).fill(version % 60);
  const { segment, section } = segmentsOf(vectorOf(bytes), packs)[0]!;
  return encodeFrame({ type: "parameters", version: stepNumber(version), segment }, section);
}

export const assignmentOf = (kind: "train" | "evaluate", step: number): Assignment => ({
  type: "assignment",
  work: { kind, step: stepNumber(step) },
  works: 1,
  epoch: 0,
  offset: 0,
  samples: 10,
  shards: 5,
  nodes: [[0, 4]],
});

/** Files that there are not, or that are none to share. */
export const badOffer: MemoryOffer = {
  parameters: { path: "/proc/1/fd/0", bytes: 65_536, nonce: "0".repeat(32) },
  partials: { path: "/proc/self/fd/../../../etc/passwd", bytes: 65_536, nonce: "0".repeat(32) },
  line: { path: "/proc/1/fd/1", id: "0" },
};

/** Any message of a coordinator, well-formed, at any time. */
function anyMessage(dice: Dice): CoordinatorMessage {
  const kind = dice.one(["train", "evaluate"] as const);
  const step = dice.below(4);
  const messages: (() => CoordinatorMessage)[] = [
    () => ({ type: "challenge", nonce }),
    () => ({
      type: "welcome",
      run: runId("r"),
      worker: workerId("w"),
      proof: "0".repeat(64),
      plan: job.plan,
      packs: true,
      memory: badOffer,
    }),
    () => ({ ...assignmentOf(kind, step), works: dice.one([1, 2, MOST_WORKS_AHEAD]) }),
    () => ({
      ...assignmentOf(kind, step),
      epoch: dice.one([0, 7, 2 ** 32 - 1, 2 ** 53 - 1]),
      offset: dice.one([0, 30, 36, 2 ** 53 - 1]),
    }),
    () => ({
      ...assignmentOf(kind, step),
      samples: dice.one([1, 2, 37, 38, 2 ** 31, 2 ** 53 - 1]),
      shards: 1,
      nodes: [[0, 1]],
    }),
    () => ({
      ...assignmentOf(kind, step),
      samples: 2 ** 53 - 1,
      shards: dice.one([6, 2 ** 20, 2 ** 40, 2 ** 52 - 1]),
      nodes: [[0, 1]],
    }),
    () => ({ type: "answer", code: "PARTIAL_STALE", work: { kind, step: stepNumber(step) }, node: [0, 4] }),
    () => ({ type: "heartbeat" }),
  ];
  return dice.one(messages)();
}

export function anyFrame(dice: Dice, heard: readonly Frame[]): Frame {
  const message = anyMessage(dice);
  const ways: (() => Frame)[] = [
    () => [dice.bytes(dice.below(200))],
    () => dice.frame(dice.value()),
    () => dice.frame(dice.spoiledMessage(message)),
    () => encodeFrame(message),
    () => dice.spoiledFrame(encodeFrame(message)),
    () => parametersOf(dice.below(4), dice.chance(0.5)),
    () => dice.spoiledFrame(parametersOf(dice.below(4), dice.chance(0.5))),
    () => (heard.length === 0 ? [] : dice.one(heard)),
    () => (heard.length === 0 ? [] : dice.spoiledFrame(dice.one(heard))),
  ];
  return dice.one(ways)();
}
