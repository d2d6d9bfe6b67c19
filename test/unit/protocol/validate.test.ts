import { describe, expect, it } from "vitest";
import { LONG_SEGMENT_BYTES, MOST_WORKS_AHEAD } from "../../../shared/protocol/messages.ts";
import { checkCoordinatorMessage, checkWorkerMessage } from "../../../shared/protocol/validate.ts";
import { refusal } from "../../support/errors.ts";

const hash = "0123456789abcdef".repeat(4);
const work = { kind: "train", step: 3 };
const segment = { offset: 0, length: 64, total: 64, checksum: 5 };
const file = { path: "/proc/7/fd/9", bytes: 65_536, nonce: "0123456789abcdef".repeat(2) };
const line = { path: "/proc/7/fd/10", id: "a" };
const plan = {
  seed: 1,
  data: { kind: "mnist" },
  validation: 0,
  dataMemory: 1024,
  augment: [],
  dataSha256: hash,
  train: {},
  evaluate: {},
  parameters: [{ name: "0.weight", shape: [3, 2], frozen: false }],
  layoutHash: hash,
  metrics: ["loss"],
  evaluated: [{ name: "confusion", shape: [3, 3] }],
  batch: 8,
  shards: 4,
  isLong: false,
  trace: false,
};

const timing = { sent: 90, encode: 80, received: [10, 20], calls: [[1, 30, 40, 50, 60]] };

const workerMessages = [
  { type: "hello", protocol: 1, version: "1.0.0", name: "a", threads: 2, nonce: hash, proof: hash },
  { type: "ready", dataSha256: hash, layoutHash: hash, fingerprint: hash, sharesMemory: true },
  { type: "failed", code: "DATA_MISSING", message: "no data" },
  { type: "partial", run: "r", work, node: [0, 4], computeMicroseconds: 7, segment },
  { type: "partial", run: "r", work, node: [0, 4], computeMicroseconds: 7, segment, timing },
  { type: "placed-partial", run: "r", work, node: [0, 4], computeMicroseconds: 7, position: 64, checksum: 5, timing },
  { type: "damaged", version: 3 },
  { type: "leave" },
  { type: "heartbeat" },
];

const welcome = { type: "welcome", run: "r", worker: "w1", proof: hash, plan };

const coordinatorMessages = [
  { type: "challenge", nonce: hash },
  { ...welcome, packs: true },
  { ...welcome, packs: false, memory: { parameters: file, partials: file, line } },
  { type: "refused", code: "VERSION_MISMATCH", message: "no", hint: "" },
  { type: "assignment", work, works: MOST_WORKS_AHEAD, epoch: 0, offset: 0, samples: 8, shards: 4, nodes: [[0, 4]] },
  { type: "parameters", version: 3, segment },
  { type: "parameters", version: 3, segment: { ...segment, packed: "words" } },
  { type: "answer", code: "PARTIAL_STALE", work, node: [0, 4] },
  { type: "end", reason: "completed" },
  { type: "heartbeat" },
];

const leftOut = Symbol("left out");

/** Values of a wrong type or out of range for whatever a field holds; the lists fit no field of the protocol. */
function wrongFor(value: unknown): unknown[] {
  const never: unknown[] = [null, leftOut, [[[]]], new Map(), 5n];
  if (typeof value === "boolean") return [...never, 1, "true", {}];
  never.push(true);
  if (typeof value === "number") return [...never, "1", -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53];
  if (typeof value === "string") return [...never, 1, "x".repeat(5_000), {}];
  if (Array.isArray(value)) return [...never, 1, "x", {}];
  return [...never, 1, "x", []];
}

/** Every field of a message, those inside included, as its path. `Unknown` fields hold anything. */
function pathsOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [path];
  const below = Object.entries(value).flatMap(([key, inner]) =>
    ["data", "train", "evaluate"].includes(key) && path[0] === "plan" ? [] : pathsOf(inner, [...path, key]),
  );
  return path.length === 0 ? below : [path, ...below];
}

const valueAt = (message: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], message);

/** A copy of the message with another value at the path; the symbol leaves the field out. */
function changed(message: unknown, path: readonly string[], value: unknown): unknown {
  const copy = structuredClone(message);
  const holder = valueAt(copy, path.slice(0, -1)) as Record<string, unknown>;
  if (typeof value !== "symbol") holder[path.at(-1)!] = value;
  else if (Array.isArray(holder)) holder[path.at(-1)!] = undefined;
  else delete holder[path.at(-1)!];
  return copy;
}

describe.each([
  ["a worker's", checkWorkerMessage, workerMessages],
  ["a coordinator's", checkCoordinatorMessage, coordinatorMessages],
] as const)("%s message", (_, check, messages) => {
  it.each(messages.map((message) => [message.type, message] as const))("%s passes as documented", (_type, message) => {
    expect(check(message)).toBe(message);
  });

  it.each(messages.map((message) => [message.type, message] as const))(
    "%s is refused with any field missing or wrong, which is named",
    (_type, message) => {
      for (const path of pathsOf(message).filter(([first]) => first !== "type")) {
        const isOptional = ["memory", "segment,packed", "timing", "timing,encode", "timing,received"].includes(
          path.join(),
        );
        // The one number that is a share.
        const isShare = path.at(-1) === "validation";
        const isWrong = (each: unknown): boolean => !(each === leftOut && isOptional) && !(each === 0.5 && isShare);
        for (const wrong of wrongFor(valueAt(message, path)).filter(isWrong)) {
          const error = refusal(() => check(changed(message, path, wrong)));
          expect(error.code).toBe("PROTOCOL_VIOLATION");
          expect(error.message).toContain(`malformed ${message.type}`);
          // A field that is missing is named by the object it is missing from.
          expect(error.message.includes(path[0]!)).toBe(true);
        }
      }
    },
  );

  it.each(messages.map((message) => [message.type, message] as const))(
    "%s is refused with a field too many, which is named",
    (_type, message) => {
      const holders = [
        [],
        ...pathsOf(message).filter((path) => {
          const value = valueAt(message, path);
          return typeof value === "object" && value !== null && !Array.isArray(value);
        }),
      ];
      for (const holder of holders) {
        const error = refusal(() => check(changed(message, [...holder, "extra"], 1)));
        expect(error.message).toContain("extra");
      }
    },
  );

  it("is refused when its type is none, with a sentence of bounded length", () => {
    for (const type of [
      undefined,
      null,
      7,
      2n ** 63n,
      "",
      "toString",
      "constructor",
      "__proto__",
      "x".repeat(1e6),
      {},
    ]) {
      const error = refusal(() => check({ type }));
      expect(error.code).toBe("PROTOCOL_VIOLATION");
      expect(error.message).toMatch(/^the (worker|coordinator) sent a message of unknown type /);
      expect(error.message.length).toBeLessThan(200);
    }
    for (const header of [undefined, null, 1, "hello", []])
      expect(refusal(() => check(header)).message).toContain("unknown type undefined");
  });

  it("is refused in a sentence of bounded length when it holds a field of a mebibyte's name", () => {
    const error = refusal(() => check({ type: "heartbeat", ["x".repeat(1 << 20)]: 1 }));
    expect(error.message.length).toBeLessThan(300);
  });
});

describe("a plan's data", () => {
  const withData = (data: unknown): object => ({ ...welcome, packs: true, plan: { ...plan, data } });

  it.each([
    { kind: "mnist" },
    { kind: "idx", path: "/d" },
    { kind: "idx", path: "/d", classes: 26 },
    { kind: "csv", train: "/t.csv", target: 4 },
    { kind: "csv", train: "/t.csv", test: "/e.csv", target: "y", header: true, classes: 3, scale: 255 },
  ])("passes as %j", (data) => {
    expect(checkCoordinatorMessage(withData(data))).toEqual(withData(data));
  });

  const columns = (values: unknown): object => ({ kind: "csv", train: "/t.csv", target: 0, columns: values });

  it("names the first column that is not as it should be, and looks no further than it may", () => {
    const message = (values: unknown): string =>
      refusal(() => checkCoordinatorMessage(withData(columns(values)))).message;
    const right = columns({ a: "number", b: "ignore" });
    expect(checkCoordinatorMessage(withData(right))).toEqual(withData(right));
    const where = "the coordinator sent a malformed welcome: /plan/data/columns";
    expect(message({ a: "number", b: "other", c: 5 })).toMatch(new RegExp(`^${where}/b: `));
    const tooMany = Object.fromEntries(Array.from({ length: 10_001 }, (_, index) => [`c${index}`, "number"]));
    for (const values of [[], new Map([["a", "number"]]), null, "a", tooMany, { ["x".repeat(1001)]: "number" }])
      expect(message(values)).toBe(`${where}: Expected values of at most 10000 names, of at most 1000 characters`);
  });

  it.each([
    null,
    "mnist",
    {},
    { kind: "other" },
    { kind: "mnist", path: "/d" },
    { kind: "idx" },
    { kind: "idx", path: 5 },
    { kind: "idx", path: "/d", classes: 0 },
    { kind: "csv", train: "/t.csv" },
    { kind: "csv", train: ["/t.csv"], target: 0 },
    { kind: "csv", train: "/t.csv", target: -1 },
    { kind: "csv", train: "/t.csv", target: 0, scale: "1" },
  ])("is refused as %j", (data) => {
    expect(refusal(() => checkCoordinatorMessage(withData(data))).message).toContain("malformed welcome: /plan/data");
  });
});

describe("limits", () => {
  const [hello, ready, failed, partial] = workerMessages;
  const assignment = coordinatorMessages.find(({ type }) => type === "assignment")!;

  it.each([
    ["/segment/length", partial!, { segment: { ...segment, length: LONG_SEGMENT_BYTES + 1 } }],
    ["/timing/calls", partial!, { timing: { ...timing, calls: Array(1025).fill(timing.calls[0]) } }],
    ["/threads", hello!, { threads: 0 }],
    ["/threads", hello!, { threads: 100_001 }],
    ["/name", hello!, { name: "x".repeat(201) }],
    ["/fingerprint", ready!, { fingerprint: hash.toUpperCase() }],
    ["/code", failed!, { code: "not a code" }],
    ["/message", failed!, { message: "x".repeat(4001) }],
  ])("of a worker's %s are the protocol's", (field, message, changes) => {
    expect(refusal(() => checkWorkerMessage({ ...message, ...changes })).message).toContain(
      `the worker sent a malformed ${message.type}: ${field}: `,
    );
  });

  it.each([
    ["/samples", { samples: 0 }],
    ["/works", { works: 0 }],
    ["/works", { works: MOST_WORKS_AHEAD + 1 }],
    ["/shards", { shards: 0 }],
    ["/nodes", { nodes: [] }],
    ["/nodes/0", { nodes: [[0]] }],
    ["/nodes/0", { nodes: [[0, 1, 2]] }],
    ["/work/kind", { work: { kind: "other", step: 0 } }],
    ["/work/step", { work: { kind: "train", step: 2 ** 32 } }],
    ["/epoch", { epoch: 2 ** 32 }],
  ])("of an assignment's %s are the protocol's: %j", (field, changes) => {
    const { message } = refusal(() => checkCoordinatorMessage({ ...assignment, ...changes }));
    expect(message).toMatch(new RegExp(`^the coordinator sent a malformed assignment: ${field}[:/]`));
  });

  it("of a list are looked at before what is in it", () => {
    const nodes: unknown[] = Array(10_001).fill("no node");
    const { message } = refusal(() => checkCoordinatorMessage({ ...assignment, nodes }));
    expect(message).toBe("the coordinator sent a malformed assignment: /nodes: Expected a list of 1 to 10000");
  });
});

describe("what is shown to people", () => {
  it("has no control characters: they could rewrite a terminal", () => {
    const hello = { ...workerMessages[0]!, name: "büro 2" };
    expect(checkWorkerMessage(hello)).toEqual(hello);
    for (const name of ["\u001b[2Jgone", "a\u0007", "a\u009b31m", "a\rb", "a\nb", "a\u2028b", "a\u202eb"]) {
      expect(() => checkWorkerMessage({ ...hello, name })).toThrow(/name/);
    }
    // Nor have the sentences about what is refused.
    for (const text of ["\u001b[2Jgone", "\u009b31m", "a\nb", "a\u2028b", "a\u202eb"]) {
      for (const header of [{ type: "heartbeat", [text]: 1 }, { type: text }])
        expect(refusal(() => checkWorkerMessage(header)).message).not.toMatch(/[\p{Cc}\u2028\u202e]/u);
    }
    for (const message of ["\u001b]0;x", "a\u2029b", "a\u2066b"])
      expect(() => checkWorkerMessage({ type: "failed", code: "DATA_MISSING", message })).toThrow(/message/);
  });
});
