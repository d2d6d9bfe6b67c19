/** What a peer's graph may hold that no builder makes: operations with inputs of another number or type. */
import { describe, expect, it } from "vitest";
import { LockstepError } from "../../../shared/errors.ts";
import type { Tensor } from "../../../shared/graph/operation.ts";
import { operations } from "../../../shared/graph/operations/registry.ts";
import type { TensorType } from "../../../shared/graph/values.ts";
import { examples, Sources } from "../../support/operations.ts";

/** A tensor of each operation that has inputs. */
const made = new Map<string, Tensor>();
for (const example of examples) {
  const from = new Sources();
  example.output(from, 7);
  for (const tensor of from.builder.tensors) if (tensor.inputs.length > 0) made.set(tensor.operation.name, tensor);
}

/** Inputs that may be of any type: their numbers are moved, or name rows. */
const ofAnyType = ["expand 0", "reshape 0", "transpose 0", "slice 0", "lookup 1", "sumByRow 0"];

const isRefused = ({ operation, attributes }: Tensor, inputs: readonly TensorType[]): boolean => {
  try {
    operation.infer(inputs, attributes);
    return false;
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== "SHAPE_MISMATCH") throw error;
    return true;
  }
};

describe.each([...made])("%s", (name, tensor) => {
  it("takes the inputs of its example", () => {
    expect(isRefused(tensor, tensor.inputs)).toBe(false);
  });

  it("refuses none, one too few and one too many", () => {
    expect(isRefused(tensor, [])).toBe(true);
    // What is joined may be any number.
    if (name === "concat") return;
    expect(isRefused(tensor, tensor.inputs.slice(0, -1))).toBe(true);
    expect(isRefused(tensor, [...tensor.inputs, tensor.inputs.at(-1)!])).toBe(true);
  });

  it("refuses each of another type", () => {
    tensor.inputs.forEach((input, place) => {
      const dtype = input.dtype === "float32" ? "int32" : "float32";
      expect(isRefused(tensor, tensor.inputs.with(place, { ...input, dtype })), `input ${place}`).toBe(
        !ofAnyType.includes(`${name} ${place}`),
      );
    });
  });
});

it("is looked at for every operation that has inputs, but for those that graphs get when they are differentiated", () => {
  const others = [...operations.keys()].filter((name) => !made.has(name));
  expect(others).toEqual(["input", "constant", "fill", "normaliseGradient", "scaleToUnitGradient"]);
});
