/** Functions of one entry or of two, of tensors and of known numbers. */
import { product } from "../../../shape.ts";
import type { Tensor } from "../../operation.ts";
import {
  add,
  clamp,
  complement,
  divide,
  equal,
  greater,
  maximum,
  minimum,
  multiply,
  offset,
  scale,
  select,
  subtract,
} from "../../operations/arithmetic.ts";
import { broadcastOffsets, broadcastShapes, expand } from "../../operations/broadcast.ts";
import {
  absolute,
  ceil,
  erf,
  exp,
  floor,
  log,
  relu,
  round,
  sigmoid,
  sign,
  softplus,
  sqrt,
  tanh,
} from "../../operations/elementwise.ts";
import { fill } from "../../operations/source.ts";
import type { Dim } from "../../values.ts";
import { cast } from "./cast.ts";
import type { NodeContext, Rule, Rules } from "./context.ts";
import { raised } from "./power.ts";
import { isNumbers, type Known, ofNumbers, ofTensor, type Value } from "./value.ts";

type OfTensor = (x: Tensor, node: NodeContext) => Tensor;

const unary =
  (ofTensors: OfTensor, ofKnown?: (x: number) => number): Rule =>
  (node) => {
    const known = ofKnown === undefined ? undefined : node.known(0);
    if (ofKnown === undefined || known === undefined) return ofTensor(ofTensors(node.tensor(0), node));
    return ofNumbers(known.shape, node.numbers(0, "input").map(ofKnown), known.isFloat);
  };

const leaky = (x: Tensor, slope: number): Tensor => add(scale(x, slope), scale(relu(x), 1 - slope));

/** factor · (eˣ − 1) below zero; the exponential never sees a positive x. */
function exponentialBelow(x: Tensor, factor: number): Tensor {
  const positive = relu(x);
  return add(positive, scale(offset(exp(subtract(x, positive)), -1), factor));
}

function gelu(x: Tensor, node: NodeContext): Tensor {
  if (node.text("approximate", "none") === "none")
    return multiply(scale(x, 0.5), offset(erf(scale(x, Math.SQRT1_2)), 1));
  const cubic = multiply(x, offset(scale(multiply(x, x), 0.044715), 1));
  return multiply(scale(x, 0.5), offset(tanh(scale(cubic, Math.sqrt(2 / Math.PI))), 1));
}

const hardSigmoid = (x: Tensor, alpha: number, beta: number): Tensor => clamp(offset(scale(x, alpha), beta), 0, 1);

/** Bounds are attributes in old files, inputs in newer ones. */
function clip(x: Tensor, node: NodeContext): Tensor {
  const bound = (name: string, place: number, usual: number): number =>
    node.has(place) ? (node.numbers(place, name)[0] ?? usual) : node.number(name, usual);
  const [least, most] = [bound("min", 1, -Infinity), bound("max", 2, Infinity)];
  const above = least === -Infinity ? x : least === 0 ? relu(x) : maximum(x, fill(x, [], least));
  return most === Infinity ? above : minimum(above, fill(x, [], most));
}

/** How two numbers of a shape are combined, where one may count samples. */
type Arithmetic = (left: number, right: number, node: NodeContext) => number;

const ofDims: Readonly<Record<string, (left: Dim, right: Dim) => Dim | undefined>> = {
  Mul: (left, right) =>
    scaledDim(left, right, (rows, by) => rows * by) ?? scaledDim(right, left, (rows, by) => rows * by),
  Div: (left, right) => scaledDim(left, right, (rows, by) => rows / by),
  // There is at least one sample.
  Equal: (left, right) => ([left, right].some((dim) => typeof dim === "number" && dim < 1) ? 0 : undefined),
};

function scaledDim(dim: Dim, by: Dim, scaled: (rows: number, by: number) => number): Dim | undefined {
  if (typeof dim !== "object" || typeof by !== "number") return undefined;
  const rows = scaled(dim.rows, by);
  return Number.isInteger(rows) && rows > 0 ? { rows } : undefined;
}

function combineKnown(left: Known, right: Known, type: string, compute: Arithmetic, node: NodeContext): Value {
  const shape = broadcastShapes(left.shape, right.shape, type) as number[];
  const [mine, yours] = [left, right].map((known) => broadcastOffsets(known.shape, shape)) as [Int32Array, Int32Array];
  const values = Array.from({ length: product(shape) }, (_, at): Dim => {
    const [x, y] = [left.values[mine[at]!]!, right.values[yours[at]!]!];
    if (isNumbers([x, y])) return compute(x as number, y as number, node);
    const dim = ofDims[type]?.(x, y);
    return (
      dim ??
      node.refuse(
        "it computes with the number of samples",
        "Only multiples of it can be understood: export the model with a free batch size, or take an output before it.",
      )
    );
  });
  return ofNumbers(shape, values, left.isFloat && right.isFloat);
}

const binary =
  (type: string, ofTensors: (left: Tensor, right: Tensor, node: NodeContext) => Tensor, compute: Arithmetic): Rule =>
  (node) => {
    const [left, right] = [node.known(0), node.known(1)];
    if (left === undefined || right === undefined) return ofTensor(ofTensors(node.tensor(0), node.tensor(1), node));
    return combineKnown(left, right, type, compute, node);
  };

/** Any number of operands, one after the other. */
const variadic =
  (
    combine: (left: Tensor, right: Tensor) => Tensor,
    finish: (total: Tensor, count: number) => Tensor = (total) => total,
  ): Rule =>
  (node) => {
    const operands = Array.from({ length: node.inputs }, (_, place) => node.tensor(place));
    return ofTensor(finish(operands.reduce(combine), operands.length));
  };

const truth = (isTrue: boolean): number => (isTrue ? 1 : 0);
const not = complement;

/** a where the condition, 0 or 1, holds, else b. */
const where: Rule = (node) => {
  const [condition, left, right] = [node.known(0), node.known(1), node.known(2)];
  if (condition !== undefined && left !== undefined && right !== undefined) {
    const shape = [condition, left, right]
      .map((known) => known.shape)
      .reduce((one, other) => broadcastShapes(one, other, "Where") as number[]);
    const [chosen, mine, yours] = [condition, left, right].map((known) => broadcastOffsets(known.shape, shape)) as [
      Int32Array,
      Int32Array,
      Int32Array,
    ];
    const values = Array.from({ length: product(shape) }, (_, at) =>
      condition.values[chosen[at]!] === 0 ? right.values[yours[at]!]! : left.values[mine[at]!]!,
    );
    return ofNumbers(shape, values, left.isFloat);
  }
  const [mask, one, other] = [node.tensor(0), node.tensor(1), node.tensor(2)];
  return ofTensor(select(mask, one, other));
};

const slopes: Rule = (node) => {
  const [x, slope] = [node.tensor(0), node.tensor(1)];
  const positive = relu(x);
  return ofTensor(add(positive, multiply(slope, subtract(x, positive))));
};

const identity: Rule = (node) => {
  const known = node.known(0);
  return known === undefined ? ofTensor(node.tensor(0)) : { known };
};

export const elementwiseRules: Rules = {
  Identity: identity,
  Dropout: identity, // its inference form; a dropout layer can be put behind the file
  Relu: unary((x) => relu(x)),
  LeakyRelu: unary((x, node) => leaky(x, node.number("alpha", 0.01))),
  PRelu: slopes,
  Elu: unary((x, node) => exponentialBelow(x, node.number("alpha", 1))),
  Selu: unary((x, node) => {
    const gamma = node.number("gamma", 1.050_700_987_355_480_5);
    return scale(exponentialBelow(x, node.number("alpha", 1.673_263_242_354_377_2)), gamma);
  }),
  Sigmoid: unary(sigmoid),
  HardSigmoid: unary((x, node) => hardSigmoid(x, node.number("alpha", 0.2), node.number("beta", 0.5))),
  HardSwish: unary((x) => multiply(x, hardSigmoid(x, 1 / 6, 0.5))),
  Swish: unary((x, node) => multiply(x, sigmoid(scale(x, node.number("alpha", 1))))),
  Mish: unary((x) => multiply(x, tanh(softplus(x)))),
  Tanh: unary(tanh, Math.tanh),
  Softplus: unary(softplus),
  Softsign: unary((x) => divide(x, offset(absolute(x), 1))),
  Gelu: unary(gelu),
  Erf: unary(erf),
  Exp: unary(exp, Math.exp),
  Log: unary(log, Math.log),
  Sqrt: unary(sqrt, Math.sqrt),
  Abs: unary(absolute, Math.abs),
  Neg: unary(
    (x) => scale(x, -1),
    (x) => -x,
  ),
  Reciprocal: unary(
    (x) => divide(fill(x, [], 1), x),
    (x) => 1 / x,
  ),
  Sign: unary(sign, Math.sign),
  Floor: unary(floor, Math.floor),
  Ceil: unary(ceil, Math.ceil),
  Round: unary(round),
  Not: unary(not, (x) => truth(x === 0)),
  Clip: unary(clip),
  Cast: cast,
  Where: where,
  Add: binary("Add", add, (x, y) => x + y),
  Sub: binary("Sub", subtract, (x, y) => x - y),
  Mul: binary("Mul", multiply, (x, y) => x * y),
  Div: (node) => {
    const isFloat = [0, 1].every((place) => node.known(place)?.isFloat !== false);
    return binary("Div", divide, (x, y) => (isFloat ? x / y : Math.trunc(x / y)))(node);
  },
  Mod: binary(
    "Mod",
    (_left, _right, node) => node.refuse("it divides tensors with rest", "Fold it into a constant: onnxsim does so."),
    // The rest has the divisor's sign, or with fmod, as in C, the dividend's.
    (x, y, node) => (node.number("fmod", 0) === 1 ? x % y : x - y * Math.floor(x / y)),
  ),
  Pow: (node) => {
    const [left, right] = [node.known(0), node.known(1)];
    if (left === undefined || right === undefined) return ofTensor(raised(node.tensor(0), node));
    return combineKnown(left, right, "Pow", (x, y) => x ** y, node);
  },
  Equal: binary("Equal", equal, (x, y) => truth(x === y)),
  Greater: binary("Greater", greater, (x, y) => truth(x > y)),
  Less: binary(
    "Less",
    (x, y) => greater(y, x),
    (x, y) => truth(x < y),
  ),
  GreaterOrEqual: binary(
    "GreaterOrEqual",
    (x, y) => not(greater(y, x)),
    (x, y) => truth(x >= y),
  ),
  LessOrEqual: binary(
    "LessOrEqual",
    (x, y) => not(greater(x, y)),
    (x, y) => truth(x <= y),
  ),
  And: binary("And", multiply, (x, y) => truth(x !== 0 && y !== 0)),
  Or: binary("Or", maximum, (x, y) => truth(x !== 0 || y !== 0)),
  Max: variadic(maximum),
  Min: variadic(minimum),
  Sum: variadic(add),
  Mean: variadic(add, (total, count) => scale(total, 1 / count)),
  Expand: (node) => {
    const shape = node.dims(1, "shape");
    const known = node.known(0);
    if (known !== undefined && isNumbers(shape)) {
      const wide = broadcastShapes(known.shape, shape, "Expand") as number[];
      return ofNumbers(
        wide,
        [...broadcastOffsets(known.shape, wide)].map((at) => known.values[at]!),
        known.isFloat,
      );
    }
    const x = node.tensor(0);
    return ofTensor(expand(x, broadcastShapes(x.shape, shape, "Expand")));
  },
};
