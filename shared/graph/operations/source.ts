/** Values without inputs: what is fed, small known tensors, and tensors that hold one number everywhere. */
import { LockstepError } from "../../errors.ts";
import { defineOperation, type NumericTensor, type Tensor } from "../operation.ts";
import { type Shape, shapeMismatch } from "../values.ts";
import { product } from "../../shape.ts";

/** Fed at every run. Its type comes from the graph's list of inputs, not from a rule. */
export const inputOperation = defineOperation({
  name: "input",
  rows: "independent",
  attributes: { shape: "shape" },
  infer: (_inputs, { shape }) => ({ shape, dtype: "float32" }),
  gradient: () => [],
  emit: () => undefined,
  evaluate: () => undefined,
});

export const constantOperation = defineOperation({
  name: "constant",
  rows: "independent",
  attributes: { shape: "integers", values: "numbers" },
  infer(inputs, { shape, values }) {
    if (inputs.length > 0 || values.length !== product(shape)) {
      throw new LockstepError("GRAPH_INVALID", `constant: ${values.length} numbers do not fill [${shape.join(", ")}]`);
    }
    return { shape, dtype: "float32" };
  },
  gradient: () => [],
  emit({ attributes, node, constant, output }) {
    node("Identity", [constant("float32", attributes.shape, attributes.values)], {}, output);
  },
  evaluate: (_inputs, output, { values }) => output.data.set(values),
});

/** One number everywhere. A scalar is an initialiser; anything larger is expanded by the engine, not stored. */
export const fillOperation = defineOperation({
  name: "fill",
  rows: "independent",
  attributes: { shape: "shape", value: "number" },
  infer(inputs, { shape, value }) {
    if (inputs.length > 0) throw shapeMismatch("fill", "no input", inputs);
    // JSON, in which graphs travel and are compared, has no others.
    if (!Number.isFinite(value))
      throw new LockstepError(
        "CONFIG_INVALID",
        `fill: found ${value}, expected a finite number`,
        "Give a large finite number, such as 1e30, or compute without it.",
      );
    return { shape, dtype: "float32" };
  },
  gradient: () => [],
  emit({ attributes, outputType, node, constant, shapeConstant, output }) {
    const scalar = constant("float32", [], [attributes.value]);
    if (outputType.shape.length === 0) node("Identity", [scalar], {}, output);
    else node("Expand", [scalar, shapeConstant(outputType.shape)], {}, output);
  },
  evaluate: (_inputs: readonly NumericTensor[], output, { value }) => void output.data.fill(value),
});

/** A tensor that holds `value` everywhere, in the graph of `beside`. */
export const fill = (beside: Tensor, shape: Shape, value: number): Tensor =>
  beside.apply(fillOperation, [], { shape, value });

/** The number a tensor holds everywhere, where that is known while the graph is built. */
export const uniformOf = (tensor: Tensor): number | undefined =>
  tensor.operation.name === fillOperation.name ? (tensor.attributes["value"] as number) : undefined;

export const sourceOperations = [inputOperation, constantOperation, fillOperation];
