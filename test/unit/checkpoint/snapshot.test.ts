import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { encodeSafetensors, decodeSafetensors } from "../../../shared/checkpoint/safetensors.ts";
import { decodeSnapshot, encodeModel, encodeSnapshot } from "../../../shared/checkpoint/snapshot.ts";
import { layoutOf } from "../../../shared/memory/layout.ts";
import { failureOf, refusalIfAny } from "../../support/errors.ts";
import { readByRules } from "../../support/safetensors-rules.ts";
import { exampleLayout as layout, exampleSnapshot } from "../../support/snapshot.ts";

const snapshot = exampleSnapshot(1234);

it("gives back the position, every float and its padding", () => {
  expect(decodeSnapshot(layout, encodeSnapshot(layout, snapshot), "f")).toEqual(snapshot);
});

it("is a safetensors file by the format's own rules, tensors under their names without padding", () => {
  const { tensors, metadata } = readByRules(encodeSnapshot(layout, snapshot));
  expect(Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]))).toEqual({
    "0.weight": [2, 3],
    "0.bias": [2],
    "optimizer.mean.0.weight": [2, 3],
    "optimizer.mean.0.bias": [2],
    "optimizer.variance.0.weight": [2, 3],
    "optimizer.variance.0.bias": [2],
  });
  const bias = tensors["optimizer.mean.0.bias"]!.bytes;
  expect([...new Float32Array(bias.slice().buffer)]).toEqual([116, 117]);
  expect(JSON.parse(metadata["position"]!)).toMatchObject({ step: 1234, epoch: 2, run: "run-1" });
});

it("keeps doubles in the steering to the last bit", () => {
  const steering = { lossSum: 0.1 + 0.2, tiny: 5e-324, list: [1 / 3, null, true, "text"] };
  const bytes = encodeSnapshot(layout, { ...snapshot, steering });
  expect(decodeSnapshot(layout, bytes, "f").steering).toEqual(steering);
});

it.each([NaN, Infinity])("refuses %d in the steering, which JSON would change", (value) => {
  expect(() => encodeSnapshot(layout, { ...snapshot, steering: { best: value } })).toThrow(`best is ${value}`);
});

it("is a copy: what changes later is not in it", () => {
  const parameters = snapshot.parameters.slice();
  const bytes = encodeSnapshot(layout, { ...snapshot, parameters });
  parameters[0] = 99;
  expect(decodeSnapshot(layout, bytes, "f")).toEqual(snapshot);
});

it("gives the same snapshot the same bytes", () => {
  expect(encodeSnapshot(layout, snapshot)).toEqual(encodeSnapshot(layout, exampleSnapshot(1234)));
});

describe("damage", () => {
  const bytes = encodeSnapshot(layout, snapshot);
  const isRefused = (damaged: Uint8Array): boolean => {
    const error = refusalIfAny(() => decodeSnapshot(layout, damaged, "some/file"));
    return error?.code === "CHECKPOINT_DAMAGED" && error.message.includes("some/file");
  };

  it("is detected in every byte, for every bit and for other values", () => {
    const missed: string[] = [];
    for (let at = 0; at < bytes.length; at++)
      for (const change of [1, 2, 4, 8, 16, 32, 64, 128, 0x20 ^ 0x0a, 0xff]) {
        const damaged = bytes.with(at, bytes[at]! ^ change);
        if (!isRefused(damaged)) missed.push(`byte ${at}, change ${change}`);
      }
    expect(missed).toEqual([]);
  });

  it("is detected when the file is cut short at any length", () => {
    for (let length = 0; length < bytes.length; length++) expect(isRefused(bytes.subarray(0, length))).toBe(true);
  });

  it("is detected when something is added or blocks are zero", () => {
    expect(isRefused(Uint8Array.of(...bytes, 0))).toBe(true);
    expect(isRefused(Uint8Array.of(...bytes, ...bytes))).toBe(true);
    expect(isRefused(bytes.slice().fill(0, 512))).toBe(true);
    expect(isRefused(new Uint8Array(bytes.length))).toBe(true);
    expect(isRefused(bytes)).toBe(false);
  });
});

it("refuses a checkpoint of another model, naming both layouts", async () => {
  const other = layoutOf([{ name: "0.weight", shape: [2, 4] }]);
  const error = await failureOf(() => decodeSnapshot(other, encodeSnapshot(layout, snapshot), "some/file"));
  expect(error.code).toBe("LAYOUT_MISMATCH");
  expect(error.message).toBe(
    `some/file holds parameters of layout ${layout.hash.slice(0, 12)}, the config describes layout ${other.hash.slice(0, 12)}`,
  );
});

it("refuses another program's safetensors file", async () => {
  const file = encodeSafetensors({ metadata: { format: "pt" }, tensors: [] });
  const error = await failureOf(() => decodeSnapshot(layout, file, "some/file"));
  expect(error).toMatchObject({
    code: "CHECKPOINT_DAMAGED",
    message: "some/file is damaged: it does not start as a checkpoint does",
  });
});

describe("a checkpoint that is whole", () => {
  /** Changed by one who puts the right SHA-256 in front: another Lockstep. */
  function resealed(from: string, to: string): Uint8Array {
    const before = Buffer.from(encodeSnapshot(layout, snapshot)).toString("latin1");
    expect(before).toContain(from);
    const text = before.replaceAll(from, to.padEnd(from.length));
    const zeroed = text.replace(/(?<="sha256":")[0-9a-f]{64}/, "0".repeat(64));
    const sha256 = createHash("sha256").update(Buffer.from(zeroed, "latin1")).digest("hex");
    return Buffer.from(zeroed.replace(/(?<="sha256":")0{64}/, sha256), "latin1");
  }

  it.each([
    ["of another format", "lockstep-checkpoint-1", "lockstep-checkpoint-2", 'its format is "lockstep-checkpoint-2"'],
    ["of no position", String.raw`"{\"step`, String.raw`"[\"step`, "its position is not readable: SyntaxError"],
    [
      "of a position before the first",
      String.raw`\"epoch\":2`,
      String.raw`\"epoch\":-`,
      "its position is not readable",
    ],
    [
      "with a state too many",
      String.raw`[\"mean\",\"variance\"]`,
      String.raw`[\"mean\"]`,
      "expected 4 tensors, found 6",
    ],
    ["without a parameter", '"0.bias"', '"1.bias"', "tensor 0.bias is missing or has another size"],
    [
      "without a state",
      '"optimizer.mean.0.bias"',
      '"optimizer.mean.1.bias"',
      "tensor optimizer.mean.0.bias is missing",
    ],
    ["with a parameter of another size", "[24,32]", "[24,28]", "tensor 0.bias [2] has the offsets 24 to 28"],
  ])("but %s is refused with what is wrong", async (_, from, to, reason) => {
    const error = await failureOf(() => decodeSnapshot(layout, resealed(from, to), "some/file"));
    expect(error.code).toBe("CHECKPOINT_DAMAGED");
    expect(error.message).toMatch(`some/file is damaged: ${reason}`);
  });

  it("is taken where nothing is wrong with it", () => {
    expect(decodeSnapshot(layout, resealed("run-1", "run-2"), "f")).toEqual({ ...snapshot, run: "run-2" });
  });
});

it("does not encode a snapshot under another layout", () => {
  expect(() => encodeSnapshot(layoutOf([]), snapshot)).toThrow("the snapshot is of another layout");
});

it("writes a model as its parameters alone", () => {
  const bytes = encodeModel(layout, snapshot.parameters, { format: "pt" });
  expect(Object.keys(readByRules(bytes).tensors).sort()).toEqual(["0.bias", "0.weight"]);
  expect(decodeSafetensors(bytes, "f")).toEqual({
    metadata: { format: "pt" },
    tensors: [
      { name: "0.weight", shape: [2, 3], values: Float32Array.of(0, 1, 2, 3, 4, 5) },
      { name: "0.bias", shape: [2], values: Float32Array.of(16, 17) },
    ],
  });
});
