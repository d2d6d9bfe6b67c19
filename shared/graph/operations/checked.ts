/**
 * The operations as functions of one's own call them, the package's `ops`: what is no argument is refused by the function's name
 * and the argument's, and so is what would make a sample's output depend on other samples.
 */
import { checkGiven, form, type Forms, mapOf, number, optional, size, truth, whole, wholes } from "../../arguments.ts";
import { shape, tensor, type Tensor, tensors } from "../operation.ts";
import { rowsOf, samplesMixed } from "../values.ts";
import * as operations from "./ops.ts";

const bound = form("a number", (value) => typeof value === "number" && !Number.isNaN(value));
const [axis, axes, keep] = [optional(whole), wholes, optional(truth)];
const [stride, padding] = [optional(wholes), optional(wholes)];
const pool = mapOf({ kernel: wholes, stride, padding });
const convolution = optional(mapOf({ stride, padding, dilation: optional(wholes), groups: optional(size) }));
const transposes = optional(mapOf({ transposeLeft: optional(truth), transposeRight: optional(truth) }));

const unary = { x: tensor };
const binary = { left: tensor, right: tensor };

/** The arguments of each, in order. */
const argumentsOf: { readonly [Name in keyof typeof operations]: Forms } = {
  absolute: unary,
  add: binary,
  averagePool: { x: tensor, options: pool },
  batchMatmul: binary,
  ceil: unary,
  clamp: { x: tensor, least: bound, most: bound },
  complement: unary,
  concat: { parts: tensors, axis },
  conv2d: { x: tensor, weight: tensor, bias: optional(tensor), options: convolution },
  crossEntropy: { scores: tensor, labels: tensor },
  divide: binary,
  equal: binary,
  erf: unary,
  exp: unary,
  expand: { x: tensor, shape },
  fill: { beside: tensor, shape, value: number },
  flatten: unary,
  floor: unary,
  globalAveragePool: unary,
  greater: binary,
  hardmax: unary,
  largest: { x: tensor, axes },
  linear: { x: tensor, weight: tensor, bias: tensor },
  log: unary,
  logSoftmax: { x: tensor, axis },
  lookup: { table: tensor, numbers: tensor },
  lowerTriangle: unary,
  matmul: { ...binary, transposes },
  maximum: binary,
  maxPool: { x: tensor, options: pool },
  mean: { x: tensor, axes, keep },
  minimum: binary,
  multiply: binary,
  normalise: { x: tensor, epsilon: optional(number) },
  offset: { x: tensor, value: number },
  oneHot: { labels: tensor, classes: size },
  pad: { x: tensor, axis: whole, before: whole, after: whole },
  power: { x: tensor, exponent: number },
  relu: unary,
  reshape: { x: tensor, shape },
  round: unary,
  scale: { x: tensor, factor: number },
  scaleToUnit: { x: tensor, epsilon: optional(number) },
  select: { condition: tensor, ...binary },
  sigmoid: unary,
  sign: unary,
  slice: { x: tensor, axis: whole, start: whole, end: whole },
  smallest: { x: tensor, axes },
  softmax: { x: tensor, axis },
  softplus: unary,
  sqrt: unary,
  step: unary,
  subtract: binary,
  sum: { x: tensor, axes, keep },
  sumByRow: { numbers: tensor, values: tensor, rows: size },
  swapLast: unary,
  tanh: unary,
  transpose: { x: tensor, order: wholes },
};

const TENSORS =
  "A layer is applied by use(layer, x); ops.scale(x, 2) multiplies by a number, ops.offset(x, 2) adds one, and ops.fill makes a tensor of one.";

type Apply = (...given: readonly unknown[]) => Tensor;

function checked(name: string, apply: Apply, forms: Forms): Apply {
  const names = Object.keys(forms);
  const hint = `It is called as ops.${name}(${names.join(", ")}). ${TENSORS}`;
  return (...given) => {
    const values = Object.fromEntries(names.map((argument, place) => [argument, given[place]]));
    checkGiven(`ops.${name}: `, values, forms, hint);
    const result = apply(...given);
    const isSampled = ({ shape: of }: Tensor): boolean => rowsOf(of) !== undefined;
    if (!isSampled(result) && result.inputs.some(isSampled)) throw samplesMixed(`ops.${name}`, result.inputs);
    return result;
  };
}

/** Each operation, with what it is given checked. */
export const ops = Object.fromEntries(
  Object.entries<unknown>({ ...operations }).map(([name, apply]) => [
    name,
    checked(name, apply as Apply, argumentsOf[name as keyof typeof operations]),
  ]),
) as unknown as typeof operations;
