/**
 * Rows of the last axis brought to a mean square of one: `normalise` takes the mean away first and is the core of layer
 * norm (Ba et al., 2016) and group norm, `scaleToUnit` doesn't and is that of RMS norm (Zhang and Sennrich, 2019). Scale and
 * shift are the layer's.
 */
import { LockstepError } from "../../errors.ts";
import {
  defineOperation,
  type EmitContext,
  type GradientContext,
  type NumericTensor,
  type Tensor,
} from "../operation.ts";
import { sameShape, shapeMismatch, type TensorType } from "../values.ts";

type Norm = { readonly epsilon: number };

function inferNormalised(name: string, inputs: readonly TensorType[], count: number): TensorType {
  const [x] = inputs;
  const fits = inputs.every((type) => type.dtype === "float32" && sameShape(type.shape, x?.shape ?? []));
  if (x === undefined || inputs.length !== count || !fits || x.shape.length < 2) {
    throw shapeMismatch(name, "float32 rows [n, …, width] of one shape", inputs);
  }
  return { shape: x.shape, dtype: "float32" };
}

interface Rule {
  readonly name: string;
  readonly rows: "independent" | "per-shard";
  /** Whether the mean is taken away first. */
  readonly centre: boolean;
  /** The rows normalised, under the name `output` if it is given, and what they were multiplied by, [n, …, 1]. */
  readonly emit: (
    context: EmitContext<Norm>,
    x: string,
    output?: string,
  ) => { readonly normalised: string; readonly inverse: string };
}

/** Calls back with every row's place and its statistics. */
function eachRow(
  x: NumericTensor,
  centre: boolean,
  epsilon: number,
  visit: (start: number, width: number, mean: number, inverse: number) => void,
): void {
  const width = x.shape.at(-1) as number;
  for (let start = 0; start < x.data.length; start += width) {
    const row = [...x.data.subarray(start, start + width)];
    const mean = centre ? row.reduce((sum, value) => sum + value, 0) / width : 0;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    visit(start, width, mean, 1 / Math.sqrt(variance + epsilon));
  }
}

/** The operation of a rule and its gradient: (g − mean(g) − y·mean(g·y)) · inverse, mean(g) only where it is centred. */
function norm({ name, rows, centre, emit }: Rule) {
  const gradientName = `${name}Gradient`;
  const gradientOperation = defineOperation({
    name: gradientName,
    rows: "per-shard", // means over rows depend on their address
    attributes: { epsilon: "number" },
    infer: (inputs: readonly TensorType[]) => inferNormalised(gradientName, inputs, 2),
    gradient(): never {
      throw new LockstepError(
        "GRAPH_INVALID",
        `${gradientName} has no derivative`,
        "A norm can be differentiated once; build it from sum, multiply and sqrt where its gradient is differentiated too.",
      );
    },
    emit(context: EmitContext<Norm>) {
      const { inputs, node, constant, output } = context;
      const [x, gradient] = inputs as [string, string];
      const { normalised, inverse } = emit(context, x);
      const mean = (of: string): string => node("ReduceMean", [of, constant("int64", [1], [-1])], { keepdims: 1 });
      const centred = centre ? node("Sub", [gradient, mean(gradient)]) : gradient;
      const along = node("Mul", [normalised, mean(node("Mul", [gradient, normalised]))]);
      node("Mul", [node("Sub", [centred, along]), inverse], {}, output);
    },
    evaluate([x, gradient]: readonly NumericTensor[], output, { epsilon }) {
      if (x === undefined || gradient === undefined) return;
      eachRow(x, centre, epsilon, (start, width, mean, inverse) => {
        const places = Array.from({ length: width }, (_, at) => start + at);
        const y = (at: number): number => ((x.data[at] as number) - mean) * inverse;
        const g = (at: number): number => gradient.data[at] as number;
        const average = (of: (at: number) => number): number => places.reduce((sum, at) => sum + of(at), 0) / width;
        const [level, along] = [centre ? average(g) : 0, average((at) => g(at) * y(at))];
        for (const at of places) output.data[at] = (g(at) - level - y(at) * along) * inverse;
      });
    },
  });
  const operation = defineOperation({
    name,
    rows,
    attributes: { epsilon: "number" },
    infer: (inputs: readonly TensorType[]) => inferNormalised(name, inputs, 1),
    gradient: ({ inputs: [x], gradient, attributes }: GradientContext<Norm>) => [
      gradient.apply(gradientOperation, [x as Tensor, gradient], attributes),
    ],
    emit(context: EmitContext<Norm>) {
      emit(context, context.inputs[0] as string, context.output);
    },
    evaluate([x]: readonly NumericTensor[], output, { epsilon }) {
      if (x === undefined) return;
      eachRow(x, centre, epsilon, (start, width, mean, inverse) => {
        for (let at = start; at < start + width; at++) output.data[at] = ((x.data[at] as number) - mean) * inverse;
      });
    },
  });
  return [operation, gradientOperation] as const;
}

const normaliseOperations = norm({
  name: "normalise",
  rows: "independent",
  centre: true,
  emit({ node, nodes, constant, inputTypes: [type], attributes: { epsilon } }, x, output) {
    const width = type?.shape.at(-1) as number;
    const ones = constant("float32", [width], Array(width).fill(1) as number[]);
    const options = { axis: -1, epsilon: { float: epsilon } };
    if (output !== undefined)
      return { normalised: node("LayerNormalization", [x, ones], options, output), inverse: "" };
    const [normalised, , inverse] = nodes("LayerNormalization", [x, ones], options, 3) as [string, string, string];
    return { normalised, inverse };
  },
});

const scaleToUnitOperations = norm({
  name: "scaleToUnit",
  rows: "per-shard", // ReduceMean depends on the address of a row
  centre: false,
  emit({ node, constant, attributes: { epsilon } }, x, output) {
    const meanSquare = node("ReduceMean", [node("Mul", [x, x]), constant("int64", [1], [-1])], { keepdims: 1 });
    const root = node("Sqrt", [node("Add", [meanSquare, constant("float32", [], [epsilon])])]);
    const inverse = node("Reciprocal", [root]);
    return { normalised: node("Mul", [x, inverse], {}, output), inverse };
  },
});

/** Every row of the last axis less its mean, divided by its standard deviation √(variance + epsilon). */
export const normalise = (x: Tensor, epsilon = 1e-5): Tensor => x.apply(normaliseOperations[0], [x], { epsilon });

/** Every row of the last axis divided by √(mean of squares + epsilon). */
export const scaleToUnit = (x: Tensor, epsilon = 1e-5): Tensor => x.apply(scaleToUnitOperations[0], [x], { epsilon });

export const normOperations = [...normaliseOperations, ...scaleToUnitOperations];
