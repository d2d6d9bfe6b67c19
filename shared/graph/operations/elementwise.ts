/**
 * Functions of one entry. Activations that are sums and products of these (SiLU, GELU, ELU, …) are written so in
 * shared/nn/activations.ts and need no rule of their own.
 */
import {
  defineOperation,
  type EmitContext,
  type GradientContext,
  type NumericTensor,
  type Tensor,
} from "../operation.ts";
import { shapeMismatch, type TensorType } from "../values.ts";
import { complement, divide, multiply, scale, subtract } from "./arithmetic.ts";
import { fill } from "./source.ts";

interface Rule {
  readonly name: string;
  /** The ONNX operator, or what emits several. */
  readonly onnx: string | ((context: EmitContext<object>) => void);
  readonly rows?: "per-shard";
  readonly compute: (x: number) => number;
  /** dy/dx; undefined where it is zero almost everywhere. */
  readonly derivative: ((x: Tensor, y: Tensor) => Tensor) | undefined;
}

const unary = (rule: Rule) =>
  defineOperation({
    name: rule.name,
    rows: rule.rows ?? "independent",
    attributes: {},
    infer(inputs: readonly TensorType[]) {
      const [x] = inputs;
      if (inputs.length !== 1 || x?.dtype !== "float32") throw shapeMismatch(rule.name, "one float32 tensor", inputs);
      return { shape: x.shape, dtype: "float32" };
    },
    gradient: ({ inputs: [x], output, gradient }: GradientContext<object>) =>
      x === undefined || rule.derivative === undefined ? [] : [multiply(gradient, rule.derivative(x, output))],
    emit: (context: EmitContext<object>) => {
      if (typeof rule.onnx === "string") context.node(rule.onnx, context.inputs, {}, context.output);
      else rule.onnx(context);
    },
    evaluate([x]: readonly NumericTensor[], output) {
      x?.data.forEach((value, entry) => void (output.data[entry] = rule.compute(value)));
    },
  });

const reluOperation = unary({
  name: "relu",
  onnx: "Relu",
  compute: (x) => Math.max(x, 0),
  derivative: (_x, y) => step(y), // of y, which is needed anyway, so that x can be forgotten
});
const stepOperation = unary({
  name: "step",
  // Comparing and converting takes half the time of Sign, which the engine doesn't vectorise.
  onnx: ({ inputs, node, constant, output }) =>
    node("Cast", [node("Greater", [...inputs, constant("float32", [], [0])])], { to: 1 }, output),
  compute: (x) => (x > 0 ? 1 : 0),
  derivative: undefined,
});
const signOperation = unary({ name: "sign", onnx: "Sign", compute: Math.sign, derivative: undefined });
const absoluteOperation = unary({ name: "absolute", onnx: "Abs", compute: Math.abs, derivative: (x) => sign(x) });
const floorOperation = unary({ name: "floor", onnx: "Floor", compute: Math.floor, derivative: undefined });
const ceilOperation = unary({ name: "ceil", onnx: "Ceil", compute: Math.ceil, derivative: undefined });
/** Halves go to the even neighbour. */
const roundOperation = unary({
  name: "round",
  onnx: "Round",
  compute: (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)),
  derivative: undefined,
});
const expOperation = unary({ name: "exp", onnx: "Exp", compute: Math.exp, derivative: (_x, y) => y });
const sqrtOperation = unary({
  name: "sqrt",
  onnx: "Sqrt",
  compute: Math.sqrt,
  derivative: (_x, y) => divide(fill(y, [], 0.5), y),
});
const logOperation = unary({
  name: "log",
  onnx: "Log",
  rows: "per-shard",
  compute: Math.log,
  derivative: (x) => divide(fill(x, [], 1), x),
});
const sigmoidOperation = unary({
  name: "sigmoid",
  onnx: "Sigmoid",
  compute: (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))),
  derivative: (_x, y) => subtract(y, multiply(y, y)),
});
const tanhOperation = unary({
  name: "tanh",
  onnx: "Tanh",
  compute: Math.tanh,
  derivative: (_x, y) => complement(multiply(y, y)),
});
const softplusOperation = unary({
  name: "softplus",
  onnx: "Softplus",
  rows: "per-shard",
  compute: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  derivative: (x) => sigmoid(x),
});
const erfOperation = unary({
  name: "erf",
  onnx: "Erf",
  compute: errorFunction,
  derivative: (x) => scale(exp(scale(multiply(x, x), -1)), 2 / Math.sqrt(Math.PI)),
});

const powerOperation = defineOperation({
  name: "power",
  rows: "per-shard",
  attributes: { exponent: "number" },
  infer(inputs) {
    const [x] = inputs;
    if (inputs.length !== 1 || x?.dtype !== "float32") throw shapeMismatch("power", "one float32 tensor", inputs);
    return { shape: x.shape, dtype: "float32" };
  },
  gradient: ({ inputs: [x], gradient, attributes: { exponent } }) => [
    multiply(gradient, scale(power(x as Tensor, exponent - 1), exponent)),
  ],
  emit: ({ inputs, attributes, node, constant, output }) =>
    void node("Pow", [...inputs, constant("float32", [], [attributes.exponent])], {}, output),
  evaluate([x], output, { exponent }) {
    x?.data.forEach((value, entry) => void (output.data[entry] = value ** exponent));
  },
});

/** x to a fixed power. */
export function power(x: Tensor, exponent: number): Tensor {
  if (exponent === 0) return fill(x, x.shape, 1);
  return exponent === 1 ? x : x.apply(powerOperation, [x], { exponent });
}

export const relu = (x: Tensor): Tensor => x.apply(reluOperation, [x], {});
/** 1 where x > 0, else 0; no gradient flows through it. */
export const step = (x: Tensor): Tensor => x.apply(stepOperation, [x], {});
/** −1, 0 or 1; no gradient flows through it. */
export const sign = (x: Tensor): Tensor => x.apply(signOperation, [x], {});
/** The next whole number below; no gradient flows through it. */
export const floor = (x: Tensor): Tensor => x.apply(floorOperation, [x], {});
/** The next whole number above; no gradient flows through it. */
export const ceil = (x: Tensor): Tensor => x.apply(ceilOperation, [x], {});
/** The nearest whole number, the even one of two; no gradient flows through it. */
export const round = (x: Tensor): Tensor => x.apply(roundOperation, [x], {});
export const absolute = (x: Tensor): Tensor => x.apply(absoluteOperation, [x], {});
export const exp = (x: Tensor): Tensor => x.apply(expOperation, [x], {});
export const sqrt = (x: Tensor): Tensor => x.apply(sqrtOperation, [x], {});
export const log = (x: Tensor): Tensor => x.apply(logOperation, [x], {});
export const sigmoid = (x: Tensor): Tensor => x.apply(sigmoidOperation, [x], {});
export const tanh = (x: Tensor): Tensor => x.apply(tanhOperation, [x], {});
/** log(1 + eˣ). */
export const softplus = (x: Tensor): Tensor => x.apply(softplusOperation, [x], {});
/** The error function. */
export const erf = (x: Tensor): Tensor => x.apply(erfOperation, [x], {});

/**
 * erf to double precision: its Maclaurin series below 3, and beyond it 1 − erfc by Lentz' continued fraction
 * (Abramowitz & Stegun 7.1.6 and 7.1.14).
 */
function errorFunction(x: number): number {
  const size = Math.abs(x);
  if (size >= 6) return Math.sign(x);
  if (size < 3) {
    let term = size;
    let total = size;
    for (let n = 1; Math.abs(term) > 1e-17 * total; n++) {
      term *= (2 * size * size) / (2 * n + 1);
      total += term;
    }
    return (Math.sign(x) * 2 * Math.exp(-size * size) * total) / Math.sqrt(Math.PI);
  }
  let fraction = size;
  for (let n = 60; n >= 1; n--) fraction = size + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * fraction));
}

export const elementwiseOperations = [
  reluOperation,
  stepOperation,
  signOperation,
  absoluteOperation,
  floorOperation,
  ceilOperation,
  roundOperation,
  expOperation,
  sqrtOperation,
  logOperation,
  sigmoidOperation,
  tanhOperation,
  softplusOperation,
  erfOperation,
  powerOperation,
];
