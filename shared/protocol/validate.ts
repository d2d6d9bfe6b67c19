/**
 * What a decoded header must look like before anyone acts on it. Bytes from a socket stay hostile after they decode:
 * every field is checked for type and range here, and nothing else of the header is kept.
 */
import Type from "typebox";
import { Compile } from "typebox/compile";
import { LockstepError } from "../errors.ts";
import { MOST_CALLS, MOST_WORKS_AHEAD, SEGMENT_BYTES } from "./messages.ts";
import type { CoordinatorMessage, WorkerMessage } from "./messages.ts";

const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const positive = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
/** Names and sentences are shown on terminals: control characters could rewrite what stands there. */
const printable = (maxLength: number) =>
  Type.String({ maxLength, pattern: "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f-\\u009f]*$" });
/** One line: a name with a second one could pass for what Lockstep says. */
const short = Type.String({ maxLength: 200, pattern: "^[^\\u0000-\\u001f\\u007f-\\u009f]*$" });
const sentence = printable(4000);
const hex = Type.String({ pattern: "^[0-9a-f]{64}$" });
const code = Type.String({ pattern: "^[A-Z_]{1,40}$" });
/** What `lockstep worker --threads` allows: shards are shared out in proportion. */
const threads = Type.Integer({ minimum: 1, maximum: 100_000 });
const node = Type.Tuple([count, count]);
const strict = { additionalProperties: false };

/** Steps and epochs key random streams, which take 32 bits. */
const ordinal = Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 });
const work = Type.Object({ kind: Type.Enum(["train", "evaluate"]), step: ordinal }, strict);
const segment = Type.Object(
  {
    offset: count,
    length: Type.Integer({ minimum: 0, maximum: SEGMENT_BYTES }),
    total: count,
    checksum: ordinal,
    packed: Type.Optional(Type.Enum(["words", "differences"])),
  },
  strict,
);
const message = <const Name extends string, Fields extends Record<string, Type.TSchema>>(name: Name, fields: Fields) =>
  Compile(Type.Object({ type: Type.Literal(name), ...fields }, strict));

/** Where a worker reads its data (a DataSpec). */
const path = Type.String({ minLength: 1, maxLength: 4096 });
const optionalPath = Type.Optional(path);
const classes = Type.Optional(positive);
const optionalName = Type.Optional(short);
const source = <const Kind extends string, Fields extends Record<string, Type.TSchema>>(kind: Kind, fields: Fields) =>
  Type.Object({ kind: Type.Literal(kind), ...fields }, strict);
const table = {
  train: path,
  test: optionalPath,
  target: Type.Union([short, count]),
  classes: Type.Optional(Type.Union([positive, Type.Array(short, { maxItems: 10_000 })])),
  columns: Type.Optional(
    Type.Record(Type.String({ maxLength: 200 }), Type.Enum(["number", "standard", "category", "ignore"])),
  ),
  standardise: Type.Optional(Type.Boolean()),
};
const data = Type.Union([
  source("mnist", {}),
  source("idx", { path, classes }),
  source("csv", { ...table, header: Type.Optional(Type.Boolean()), scale: Type.Optional(Type.Number()) }),
  source("jsonLines", table),
  source("npy", { features: path, targets: path, testFeatures: optionalPath, testTargets: optionalPath, classes }),
  source("npz", {
    path,
    features: optionalName,
    targets: optionalName,
    testFeatures: optionalName,
    testTargets: optionalName,
    classes,
  }),
  source("images", { train: path, test: optionalPath, channels: Type.Optional(Type.Enum([1, 3])), classes }),
  source("text", {
    train: path,
    test: optionalPath,
    length: positive,
    predict: Type.Optional(Type.Enum(["next", "each"])),
    vocabulary: Type.Optional(Type.Integer({ minimum: 257, maximum: 65_536 })),
  }),
  source("safetensors", { train: path, test: optionalPath, classes }),
  source("cifar", { path, classes: Type.Optional(Type.Enum([10, 100])) }),
]);

const augment = Type.Union([
  source("shift", { pixels: positive }),
  source("flip", {}),
  source("crop", { least: Type.Number({ exclusiveMinimum: 0, maximum: 1 }) }),
  source("rotate", { degrees: Type.Number({ exclusiveMinimum: 0, maximum: 180 }) }),
  source("cutout", { size: positive }),
]);

const plan = Type.Object(
  {
    seed: count,
    data,
    validation: Type.Number({ minimum: 0, exclusiveMaximum: 1 }),
    dataMemory: count,
    augment: Type.Array(augment, { maxItems: 16 }),
    dataSha256: hex,
    train: Type.Unknown(),
    evaluate: Type.Unknown(),
    parameters: Type.Array(
      Type.Object({ name: short, shape: Type.Array(count, { maxItems: 8 }), frozen: Type.Boolean() }, strict),
      { maxItems: 100_000 },
    ),
    layoutHash: hex,
    metrics: Type.Array(short, { maxItems: 64 }),
    evaluated: Type.Array(Type.Object({ name: short, shape: Type.Array(count, { maxItems: 8 }) }, strict), {
      maxItems: 64,
    }),
    batch: positive,
    shards: positive,
    trace: Type.Boolean(),
  },
  strict,
);

const hostFile = Type.Object(
  { path: short, bytes: positive, nonce: Type.String({ pattern: "^[0-9a-f]{32}$" }) },
  strict,
);
const line = Type.Object({ path: short, id: short }, strict);
const memory = Type.Optional(Type.Object({ parameters: hostFile, partials: hostFile, line }, strict));

const timing = Type.Optional(
  Type.Object(
    {
      sent: count,
      encode: Type.Optional(count),
      received: Type.Optional(Type.Tuple([count, count])),
      calls: Type.Array(Type.Tuple([count, count, count, count, count]), { maxItems: MOST_CALLS }),
    },
    strict,
  ),
);

const heartbeat = message("heartbeat", {});

const workerMessages = {
  hello: message("hello", { protocol: count, version: short, name: short, threads, nonce: hex, proof: hex }),
  ready: message("ready", { dataSha256: hex, layoutHash: hex, fingerprint: hex, sharesMemory: Type.Boolean() }),
  failed: message("failed", { code, message: sentence }),
  partial: message("partial", { run: short, work, node, computeMicroseconds: count, segment, timing }),
  "placed-partial": message("placed-partial", {
    run: short,
    work,
    node,
    computeMicroseconds: count,
    position: count,
    checksum: ordinal,
    timing,
  }),
  leave: message("leave", {}),
  heartbeat,
};

const coordinatorMessages = {
  challenge: message("challenge", { nonce: hex }),
  welcome: message("welcome", { run: short, worker: short, proof: hex, plan, packs: Type.Boolean(), memory }),
  refused: message("refused", { code, message: sentence, hint: sentence }),
  assignment: message("assignment", {
    work,
    works: Type.Integer({ minimum: 1, maximum: MOST_WORKS_AHEAD }),
    epoch: ordinal,
    offset: count,
    samples: positive,
    shards: positive,
    nodes: Type.Array(node, { minItems: 1, maxItems: 10_000 }),
  }),
  parameters: message("parameters", { version: ordinal, segment }),
  answer: message("answer", { code, work, node }),
  end: message("end", { reason: Type.Enum(["completed", "stopped", "failed"]) }),
  heartbeat,
};

type Checks = Record<
  string,
  { Check(value: unknown): boolean; Errors(value: unknown): { instancePath: string; message: string }[] }
>;

/** A line that holds names which a peer chose, such that on a terminal they stay text. */
export const printed = (sentence: string): string => sentence.replaceAll(/\p{Cc}/gu, "?");

function checked(checks: Checks, header: unknown, sender: string): unknown {
  const type: unknown = typeof header === "object" && header !== null && "type" in header ? header.type : undefined;
  const check = typeof type === "string" && Object.hasOwn(checks, type) ? checks[type] : undefined;
  if (check === undefined) {
    throw new LockstepError(
      "PROTOCOL_VIOLATION",
      printed(
        `${sender} sent a message of unknown type ${typeof type === "string" ? JSON.stringify(type.slice(0, 60)) : typeof type}`,
      ),
    );
  }
  if (!check.Check(header)) {
    const first = check.Errors(header)[0];
    const field = first?.instancePath.slice(0, 100) || "the message";
    throw new LockstepError(
      "PROTOCOL_VIOLATION",
      printed(`${sender} sent a malformed ${String(type)}: ${field} ${first?.message ?? "is not as documented"}`),
    );
  }
  return header;
}

/** A worker's message, or PROTOCOL_VIOLATION. */
export const checkWorkerMessage = (header: unknown): WorkerMessage =>
  checked(workerMessages, header, "the worker") as WorkerMessage;

/** A coordinator's message, or PROTOCOL_VIOLATION. */
export const checkCoordinatorMessage = (header: unknown): CoordinatorMessage =>
  checked(coordinatorMessages, header, "the coordinator") as CoordinatorMessage;
