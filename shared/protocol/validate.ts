/**
 * What a decoded header must look like before anyone acts on it. Bytes from a socket stay hostile after they decode:
 * every field is checked for type and range here, and nothing else of the header is kept.
 */
import { z } from "zod";
import { LockstepError } from "../errors.ts";
import { LONGEST_NAME } from "../ids.ts";
import { LONG_SEGMENT_BYTES, MOST_CALLS, MOST_CLASS_NAMES, MOST_METRICS, MOST_WORKS_AHEAD } from "./messages.ts";
import type { CoordinatorMessage, RunPlan, WorkerMessage } from "./messages.ts";

const count = z.int().min(0);
const positive = z.int().min(1);
/** Names and sentences are shown on terminals: what moves the cursor, ends lines or turns the direction could rewrite what stands there. */
const sentence = z
  .string()
  .max(4000, { abort: true })
  .regex(/^(?:[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]|\n)*$/u);
/** One line: a name with a second one could pass for what Lockstep says. */
export const ONE_LINE = /^[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]*$/u;
/** Characters of the longest name of a worker. */
export const LONGEST_WORKER_NAME = 200;
const short = z.string().max(LONGEST_WORKER_NAME, { abort: true }).regex(ONE_LINE);
/** One line that people may have written at length: what a column, a class, an array or a parameter is called. */
const name = z
  .string()
  .max(LONGEST_NAME, { abort: true, error: `more than ${LONGEST_NAME} characters` })
  .regex(ONE_LINE, { error: "a line break, or another control character" });
const hex = z.string().regex(/^[0-9a-f]{64}$/);
const code = z.string().regex(/^[A-Z_]{1,40}$/);
/** What `lockstep worker --threads` allows: shards are shared out in proportion. */
const threads = z.int().min(1).max(100_000);
const node = z.tuple([count, count]);

/**
 * A collection, of which the first thing that is wrong is told and no more is looked at: so it costs little, however much there is.
 * @param entriesOf what is in it; undefined where it is none, or has too much
 */
const each = (
  item: z.ZodType,
  expected: string,
  entriesOf: (value: unknown) => Iterable<readonly [PropertyKey, unknown]> | undefined,
): z.ZodType =>
  z.unknown().check(({ value: input, issues }) => {
    const object = (message: string, path: PropertyKey[]): void =>
      void issues.push({ code: "custom", message, path, input });
    const entries = entriesOf(input);
    if (entries === undefined) return object(expected, []);
    for (const [key, value] of entries) {
      const [first] = item.safeParse(value).error?.issues ?? [];
      if (first !== undefined) return object(first.message, [key, ...first.path]);
    }
  });

const list = (item: z.ZodType, most: number, least = 0): z.ZodType =>
  each(item, `Expected a list of ${least} to ${most}`, (value) =>
    Array.isArray(value) && value.length >= least && value.length <= most ? value.entries() : undefined,
  );

/** Values by name. */
const named = (item: z.ZodType, most: number): z.ZodType =>
  each(item, `Expected values of at most ${most} names, of at most ${LONGEST_NAME} characters`, (value) => {
    if (Object.prototype.toString.call(value) !== "[object Object]") return undefined;
    const entries = Object.entries(value as object);
    return entries.length > most || entries.some(([key]) => key.length > LONGEST_NAME) ? undefined : entries;
  });

/** Steps and epochs key random streams, which take 32 bits. */
const ordinal = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);
const work = z.strictObject({ kind: z.enum(["train", "evaluate"]), step: ordinal });
const segment = z.strictObject({
  offset: count,
  length: z.int().min(0).max(LONG_SEGMENT_BYTES),
  total: count,
  checksum: ordinal,
  packed: z.enum(["words", "differences"]).optional(),
});
const message = <Fields extends z.core.$ZodShape>(name: string, fields: Fields) =>
  z.strictObject({ type: z.literal(name), ...fields });

/** Where a worker reads its data (a DataSpec). */
const path = z.string().min(1).max(4096);
const optionalPath = path.optional();
const classes = positive.optional();
const optionalName = name.optional();
const source = <const Kind extends string, Fields extends z.core.$ZodShape>(kind: Kind, fields: Fields) =>
  z.strictObject({ kind: z.literal(kind), ...fields });
const table = {
  train: path,
  test: optionalPath,
  target: z.union([name, count], { error: "Expected a name of one line, or a number" }),
  classes: z
    .union([positive, list(name, MOST_CLASS_NAMES)], { error: "Expected a number, or a list of names of one line" })
    .optional(),
  columns: named(z.enum(["number", "standard", "category", "ignore"]), 10_000).optional(),
  standardise: z.boolean().optional(),
};
const data = z.discriminatedUnion("kind", [
  source("mnist", {}),
  source("idx", { path, classes }),
  source("csv", { ...table, header: z.boolean().optional(), scale: z.number().optional() }),
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
  source("images", { train: path, test: optionalPath, channels: z.literal([1, 3]).optional(), classes }),
  source("text", {
    train: path,
    test: optionalPath,
    length: positive,
    predict: z.enum(["next", "each"]).optional(),
    vocabulary: z.int().min(257).max(65_536).optional(),
  }),
  source("safetensors", { train: path, test: optionalPath, classes }),
  source("cifar", { path, classes: z.literal([10, 100]).optional() }),
]);

const augment = z.discriminatedUnion("kind", [
  source("shift", { pixels: positive }),
  source("flip", {}),
  source("crop", { least: z.number().gt(0).max(1) }),
  source("rotate", { degrees: z.number().gt(0).max(180) }),
  source("cutout", { size: positive }),
]);

const shape = list(count, 8);
const plan = z.strictObject({
  seed: count,
  data,
  validation: z.number().min(0).lt(1),
  dataMemory: count,
  augment: list(augment, 16),
  dataSha256: hex,
  // Checked when they are compiled (shared/compute/check-plan.ts).
  train: z.unknown(),
  evaluate: z.unknown(),
  parameters: list(z.strictObject({ name, shape, frozen: z.boolean() }), 100_000),
  layoutHash: hex,
  metrics: list(short, MOST_METRICS),
  evaluated: list(z.strictObject({ name: short, shape }), MOST_METRICS),
  batch: positive,
  shards: positive,
  isLong: z.boolean(),
  trace: z.boolean(),
});

const hostFile = z.strictObject({ path: short, bytes: positive, nonce: z.string().regex(/^[0-9a-f]{32}$/) });
const line = z.strictObject({ path: short, id: short });
const memory = z.strictObject({ parameters: hostFile, partials: hostFile, line }).optional();

const timing = z
  .strictObject({
    sent: count,
    encode: count.optional(),
    received: z.tuple([count, count]).optional(),
    calls: list(z.tuple([count, count, count, count, count]), MOST_CALLS),
  })
  .optional();

const heartbeat = message("heartbeat", {});

const workerMessages = {
  hello: message("hello", { protocol: count, version: short, name: short, threads, nonce: hex, proof: hex }),
  ready: message("ready", { dataSha256: hex, layoutHash: hex, fingerprint: hex, sharesMemory: z.boolean() }),
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
  damaged: message("damaged", { version: ordinal }),
  leave: message("leave", {}),
  heartbeat,
};

const coordinatorMessages = {
  challenge: message("challenge", { nonce: hex }),
  welcome: message("welcome", { run: short, worker: short, proof: hex, plan, packs: z.boolean(), memory }),
  refused: message("refused", { code, message: sentence, hint: sentence }),
  assignment: message("assignment", {
    work,
    works: z.int().min(1).max(MOST_WORKS_AHEAD),
    epoch: ordinal,
    offset: count,
    samples: positive,
    shards: positive,
    nodes: list(node, 10_000, 1),
  }),
  parameters: message("parameters", { version: ordinal, segment }),
  answer: message("answer", { code, work, node }),
  end: message("end", { reason: z.enum(["completed", "stopped", "failed"]) }),
  heartbeat,
};

/** What is wrong with a plan, and where in it. */
export interface PlanProblem {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** The first thing for which a worker would refuse a plan. */
export function planProblem(asked: RunPlan): PlanProblem | undefined {
  return plan.safeParse(asked).error?.issues[0];
}

/** A line that holds names which a peer chose, such that on a terminal they stay text. */
export const printed = (sentence: string): string => sentence.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "?");

function checked(checks: Readonly<Record<string, z.ZodType>>, header: unknown, sender: string): unknown {
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
  const { error } = check.safeParse(header);
  if (error !== undefined) {
    const { path: where, message: what } = error.issues[0]!;
    const field = where.length === 0 ? "the message" : `/${where.join("/")}`.slice(0, 100);
    throw new LockstepError(
      "PROTOCOL_VIOLATION",
      printed(`${sender} sent a malformed ${String(type)}: ${field}: ${what.slice(0, 100)}`),
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
