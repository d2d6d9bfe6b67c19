/**
 * Maximum pooling of images [n, channels, height, width]. The gradient goes to the first largest entry of a window in
 * row-major order, as in PyTorch; padding is never the largest.
 */
import { product } from "../../shape.ts";
import { defineOperation, type EmitContext, type Tensor } from "../operation.ts";
import { sameShape, shapeMismatch, type TensorType } from "../values.ts";
import { relu } from "./elementwise.ts";
import {
  checkPooled,
  eachPlace,
  filled,
  onnxPool,
  type Pool,
  pooledShape,
  pooledType,
  type PoolOptions,
  poolOf,
  poolSchema,
} from "./pool.ts";

/** For every window, the place of its first largest entry. */
function largestPlaces(
  x: { shape: readonly number[]; data: ArrayLike<number> },
  output: readonly number[],
  pool: Pool,
): Int32Array {
  const places = new Int32Array(product(output)).fill(-1);
  eachPlace(x.shape, output, pool, (inputAt, outputAt) => {
    const best = places[outputAt] as number;
    if (best < 0 || (x.data[inputAt] as number) > (x.data[best] as number)) places[outputAt] = inputAt;
  });
  return places;
}

const maxPoolOperation = defineOperation({
  name: "maxPool",
  rows: "independent",
  attributes: poolSchema,
  infer: (inputs, attributes) => pooledType("maxPool", inputs, attributes),
  gradient: ({ inputs: [x], gradient, attributes }) => [maxPoolGradient(x as Tensor, gradient, attributes)],
  emit: ({ inputs, attributes, node, output }) => void node("MaxPool", inputs, onnxPool(attributes), output),
  evaluate([x], output, attributes) {
    if (x === undefined) return;
    largestPlaces(x, output.shape, attributes).forEach(
      (place, entry) => void (output.data[entry] = x.data[place] as number),
    );
  },
});

/** Inputs: images, and the gradient of their maxima. */
const maxPoolGradientOperation = defineOperation({
  name: "maxPoolGradient",
  rows: "independent",
  attributes: poolSchema,
  infer(inputs, attributes) {
    if (inputs.length !== 2) throw shapeMismatch("maxPoolGradient", "images and a gradient", inputs);
    checkPooled("maxPoolGradient", inputs, inputs.slice(1), attributes);
    return { shape: (inputs[0] as TensorType).shape, dtype: "float32" };
  },
  gradient: ({ inputs: [x], gradient, attributes }) => [undefined, atMaximum(x as Tensor, gradient, attributes)],
  emit: (context) => (isTiling(context) ? emitTiled(context) : emitScattered(context)),
  evaluate([x, gradient], output, attributes) {
    if (x === undefined || gradient === undefined) return;
    output.data.fill(0);
    largestPlaces(x, gradient.shape, attributes).forEach((place, entry) => {
      output.data[place] = (output.data[place] as number) + (gradient.data[entry] as number);
    });
  },
});

/** Whether windows lie side by side. */
const isTiling = ({ attributes: { kernel, stride, padding } }: EmitContext<Pool>): boolean =>
  kernel.every((length, axis) => length === stride[axis]) && padding.every((entries) => entries === 0);

type Emit = EmitContext<Pool>["node"];

/** The largest of the first part, of the first two, and so on, entry by entry. */
function runningMaxima(node: Emit, parts: readonly string[]): string[] {
  const maxima: string[] = [];
  for (const part of parts) {
    const before = maxima.at(-1);
    maxima.push(before === undefined ? part : node("Max", [before, part]));
  }
  return maxima;
}

/**
 * Each part's share of the gradient, side by side: all of it where the part is larger than all before it, and no later one is.
 * `maxima` are the running ones, at least of all parts but the last.
 */
function sharesOf(node: Emit, parts: readonly string[], maxima: readonly string[], gradient: string): string {
  let left = gradient;
  const shares: string[] = [];
  for (let at = parts.length - 1; at > 0; at--) {
    const isLarger = node("Greater", [parts[at] as string, maxima[at - 1] as string]);
    const share = node("Mul", [left, node("Cast", [isLarger], { to: 1 })]);
    shares.unshift(share);
    left = node("Sub", [left, share]);
  }
  return shares.length === 0 ? left : node("Concat", [left, ...shares], { axis: 1 });
}

/**
 * Within each row of a window first, then among its rows, by operations on whole tensors of all windows' first entries, all
 * second ones, and so on. The engine's own indices with MaxUnpool would take 18 ns a window.
 */
function emitTiled({
  inputs,
  inputTypes: [images, pooled],
  attributes,
  node,
  nodes,
  constant,
  output,
}: EmitContext<Pool>): void {
  const [x, gradient] = inputs as [string, string];
  const integers = (...values: number[]): string => constant("int64", [values.length], values);
  const [channels, ...size] = (images as TensorType).shape.slice(1) as [number, number, number];
  const [rows, columns] = attributes.kernel as [number, number];
  const [high, wide] = (pooled as TensorType).shape.slice(2) as [number, number]; // windows
  const [height, width] = [high * rows, wide * columns];
  const over = [size[0] - height, size[1] - width] as const; // entries in no window
  const isCovered = over[0] + over[1] === 0;
  const covered = isCovered ? x : node("Slice", [x, integers(0, 0), integers(height, width), integers(2, 3)]);

  const partsOf = (tensor: string, count: number, shape: string): readonly string[] => {
    const whole = node("Reshape", [tensor, shape]);
    const lengths = integers(...Array.from({ length: count }, () => 1));
    return count === 1 ? [whole] : nodes("Split", [whole, lengths], { axis: 1 }, count);
  };

  const across = partsOf(covered, columns, integers(-1, columns));
  const ofColumns = runningMaxima(node, across);
  const down = partsOf(ofColumns[columns - 1] as string, rows, integers(-1, rows, wide));
  const ofEarlierRows = runningMaxima(node, down.slice(0, -1));
  const ofRows = sharesOf(node, down, ofEarlierRows, node("Reshape", [gradient, integers(-1, 1, wide)]));
  const ofEntries = sharesOf(node, across, ofColumns, node("Reshape", [ofRows, integers(-1, 1)]));
  const shape = integers(-1, channels, height, width);
  if (isCovered) node("Reshape", [ofEntries, shape], {}, output);
  else node("Pad", [node("Reshape", [ofEntries, shape]), integers(0, 0, 0, 0, 0, 0, ...over)], {}, output);
}

/** Windows that overlap: a place may be the largest of several, and their gradients are added, in order. */
function emitScattered({
  inputs,
  outputType,
  attributes,
  node,
  nodes,
  constant,
  shapeConstant,
  output,
}: EmitContext<Pool>): void {
  const [x, gradient] = inputs as [string, string];
  const flat = constant("int64", [1], [-1]);
  const places = node("Reshape", [largestIndices(nodes, x, attributes), flat]);
  const zeros = node("ConstantOfShape", [node("Shape", [node("Reshape", [x, flat])])]);
  const scattered = node("ScatterElements", [zeros, places, node("Reshape", [gradient, flat])], {
    axis: 0,
    reduction: "add",
  });
  node("Reshape", [scattered, shapeConstant(outputType.shape)], {}, output);
}

/** The engine's indices of the largest entries, counted over the whole tensor. */
const largestIndices = (nodes: EmitContext<Pool>["nodes"], x: string, pool: Pool): string =>
  nodes("MaxPool", [x], onnxPool(pool), 2)[1] as string;

/** Inputs: images, and images of the same size of which what stands at the maxima of the first is picked. */
const atMaximumOperation = defineOperation({
  name: "atMaximum",
  rows: "independent",
  attributes: poolSchema,
  infer(inputs, attributes) {
    const [x, values] = inputs;
    if (inputs.length !== 2 || values?.dtype !== "float32" || !sameShape(x?.shape ?? [], values.shape)) {
      throw shapeMismatch("atMaximum", "two float32 tensors of images of one shape", inputs);
    }
    return { shape: pooledShape("atMaximum", x, attributes), dtype: "float32" };
  },
  gradient: ({ inputs: [x], gradient, attributes }) => [undefined, maxPoolGradient(x as Tensor, gradient, attributes)],
  emit({ inputs, attributes, outputType, node, nodes, constant, shapeConstant, output }) {
    const [x, values] = inputs as [string, string];
    const flat = constant("int64", [1], [-1]);
    const places = node("Reshape", [largestIndices(nodes, x, attributes), flat]);
    const picked = node("GatherElements", [node("Reshape", [values, flat]), places], { axis: 0 });
    node("Reshape", [picked, shapeConstant(outputType.shape)], {}, output);
  },
  evaluate([x, values], output, attributes) {
    if (x === undefined || values === undefined) return;
    largestPlaces(x, output.shape, attributes).forEach(
      (place, entry) => void (output.data[entry] = values.data[place] as number),
    );
  },
});

/**
 * The largest entry of every window. A ReLU before it is computed behind it, on the fewer entries that are left: the bits
 * are the same, and so are the gradient's.
 */
export function maxPool(x: Tensor, options: PoolOptions): Tensor {
  const [inner] = x.operation.name === "relu" ? x.inputs : [];
  return inner === undefined ? x.apply(maxPoolOperation, [x], filled(options)) : relu(maxPool(inner, options));
}

/** The gradient of Σ gradient · maxPool(x) with respect to x. */
export function maxPoolGradient(x: Tensor, gradient: Tensor, pool: Pool): Tensor {
  return x.apply(maxPoolGradientOperation, [x, gradient], poolOf(pool));
}

/** What stands in `values` where x has its maxima. */
export function atMaximum(x: Tensor, values: Tensor, pool: Pool): Tensor {
  return x.apply(atMaximumOperation, [x, values], poolOf(pool));
}

export const maxPoolOperations = [maxPoolOperation, maxPoolGradientOperation, atMaximumOperation];
