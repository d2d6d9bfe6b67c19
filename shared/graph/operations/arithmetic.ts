/** Arithmetic, comparison and choice of operands, entry by entry, with NumPy's broadcasting. */
import {
  defineOperation,
  type GradientContext,
  type NumericTensor,
  type Operation,
  type Tensor,
} from "../operation.ts";
import { sameShape, type Shape, shapeMismatch, type TensorType } from "../values.ts";
import { broadcastOffsets, broadcastShapes, expand, sumTo } from "./broadcast.ts";
import { fill, uniformOf } from "./source.ts";

interface Rule {
  readonly name: string;
  /** The ONNX operator; `cast` where it gives truth values. */
  readonly onnx: string;
  readonly cast?: true;
  readonly compute: (left: number, right: number) => number;
  /** Gradients in the output's shape, before they are summed down to the operands. */
  readonly gradient: (left: Tensor, right: Tensor, gradient: Tensor) => readonly [Tensor, Tensor] | undefined;
}

const binary = (rule: Rule) =>
  defineOperation({
    name: rule.name,
    rows: "independent",
    attributes: {},
    infer(inputs: readonly TensorType[]) {
      const [left, right] = inputs;
      if (inputs.length !== 2 || left?.dtype !== "float32" || right?.dtype !== "float32") {
        throw shapeMismatch(rule.name, "two float32 tensors", inputs);
      }
      return { shape: broadcastShapes(left.shape, right.shape, rule.name), dtype: "float32" };
    },
    gradient({ inputs: [left, right], gradient }: GradientContext<object>) {
      if (left === undefined || right === undefined) return [];
      const toBoth = rule.gradient(left, right, gradient);
      return toBoth === undefined ? [] : [sumTo(toBoth[0], left.shape), sumTo(toBoth[1], right.shape)];
    },
    emit({ inputs, node, output }) {
      if (rule.cast === undefined) node(rule.onnx, inputs, {}, output);
      else node("Cast", [node(rule.onnx, inputs)], { to: 1 }, output);
    },
    evaluate([left, right]: readonly NumericTensor[], output) {
      if (left === undefined || right === undefined) return;
      const [mine, yours] = [left, right].map(({ shape }) => broadcastOffsets(shape, output.shape));
      for (let entry = 0; entry < output.data.length; entry++) {
        output.data[entry] = rule.compute(
          left.data[mine?.[entry] as number] as number,
          right.data[yours?.[entry] as number] as number,
        );
      }
    },
  });

const addOperation = binary({
  name: "add",
  onnx: "Add",
  compute: (left, right) => left + right,
  gradient: (_left, _right, gradient) => [gradient, gradient],
});

const subtractOperation = binary({
  name: "subtract",
  onnx: "Sub",
  compute: (left, right) => left - right,
  gradient: (_left, _right, gradient) => [gradient, scale(gradient, -1)],
});

const multiplyOperation = binary({
  name: "multiply",
  onnx: "Mul",
  compute: (left, right) => left * right,
  gradient: (left, right, gradient) => [multiply(gradient, right), multiply(gradient, left)],
});

const divideOperation = binary({
  name: "divide",
  onnx: "Div",
  compute: (left, right) => left / right,
  gradient: (left, right, gradient) => {
    const toLeft = divide(gradient, right);
    return [toLeft, scale(divide(multiply(toLeft, left), right), -1)];
  },
});

const maximumOperation = binary({
  name: "maximum",
  onnx: "Max",
  compute: Math.max,
  gradient: (left, right, gradient) => chosen(greater(right, left), gradient),
});

const minimumOperation = binary({
  name: "minimum",
  onnx: "Min",
  compute: Math.min,
  gradient: (left, right, gradient) => chosen(greater(left, right), gradient),
});

const greaterOperation = binary({
  name: "greater",
  onnx: "Greater",
  cast: true,
  compute: (left, right) => (left > right ? 1 : 0),
  gradient: () => undefined,
});

const equalOperation = binary({
  name: "equal",
  onnx: "Equal",
  cast: true,
  compute: (left, right) => (left === right ? 1 : 0),
  gradient: () => undefined,
});

const selectOperation = defineOperation({
  name: "select",
  rows: "independent",
  attributes: {},
  infer(inputs: readonly TensorType[]) {
    if (inputs.length !== 3 || inputs.some(({ dtype }) => dtype !== "float32"))
      throw shapeMismatch("select", "three float32 tensors", inputs);
    const shape = inputs.map((input) => input.shape).reduce((one, other) => broadcastShapes(one, other, "select"));
    return { shape, dtype: "float32" };
  },
  gradient({ inputs: [condition, left, right], gradient }) {
    if (condition === undefined || left === undefined || right === undefined) return [];
    const zero = fill(gradient, [], 0);
    return [
      undefined,
      sumTo(select(condition, gradient, zero), left.shape),
      sumTo(select(condition, zero, gradient), right.shape),
    ];
  },
  emit({ inputs: [condition, left, right], node, output }) {
    node("Where", [node("Cast", [condition as string], { to: 9 }), left as string, right as string], {}, output);
  },
  evaluate(inputs, output) {
    const [condition, left, right] = inputs.map(({ shape, data }) => {
      const offsets = broadcastOffsets(shape, output.shape);
      return (entry: number): number => data[offsets[entry] as number] as number;
    });
    output.data.forEach((_, entry) => {
      output.data[entry] = (condition?.(entry) === 0 ? right?.(entry) : left?.(entry)) as number;
    });
  },
});

/** The gradient to the right where `right` is 1, to the left elsewhere. */
function chosen(right: Tensor, gradient: Tensor): readonly [Tensor, Tensor] {
  const toRight = multiply(gradient, right);
  return [subtract(gradient, toRight), toRight];
}

const joint = (left: TensorType, right: TensorType): Shape => broadcastShapes(left.shape, right.shape, "arithmetic");

/** A known number as a scalar, where that leaves the result's shape as it is: the engine broadcasts a scalar for nothing. */
function slim(operand: Tensor, other: Tensor): Tensor {
  const value = uniformOf(operand);
  return value !== undefined && sameShape(joint(operand, other), other.shape) ? fill(operand, [], value) : operand;
}

/** Applies a rule, or computes with what is known while the graph is built; `neutral` on the right changes nothing. */
function combine(
  operation: Operation<{}>,
  rule: Rule["compute"],
  left: Tensor,
  right: Tensor,
  neutral: number,
): Tensor {
  const [mine, yours] = [uniformOf(left), uniformOf(right)];
  const shape = joint(left, right);
  if (mine !== undefined && yours !== undefined) return fill(left, shape, rule(mine, yours));
  if (yours === neutral && sameShape(shape, left.shape)) return left;
  return left.apply(operation, [slim(left, right), slim(right, left)], {});
}

export function add(left: Tensor, right: Tensor): Tensor {
  const ordered = uniformOf(left) === undefined ? ([left, right] as const) : ([right, left] as const);
  return combine(addOperation, (x, y) => x + y, ...ordered, 0);
}

export const subtract = (left: Tensor, right: Tensor): Tensor =>
  combine(subtractOperation, (x, y) => x - y, left, right, 0);

export function multiply(left: Tensor, right: Tensor): Tensor {
  const [other, known] = uniformOf(left) === undefined ? [left, right] : [right, left];
  const factor = uniformOf(known);
  if (factor !== undefined && sameShape(joint(left, right), other.shape)) return scale(other, factor);
  return combine(multiplyOperation, (x, y) => x * y, other, known, 1);
}

export const divide = (left: Tensor, right: Tensor): Tensor =>
  combine(divideOperation, (x, y) => x / y, left, right, 1);

/** x · factor. Factors of factors are multiplied while the graph is built. */
export function scale(x: Tensor, factor: number): Tensor {
  if (factor === 1) return x;
  const value = uniformOf(x);
  if (value !== undefined) return fill(x, x.shape, value * factor);
  const [inner, by] = x.operation.name === multiplyOperation.name ? x.inputs : [];
  const earlier = by === undefined ? undefined : uniformOf(by);
  if (inner !== undefined && earlier !== undefined && sameShape(inner.shape, x.shape))
    return scale(inner, earlier * factor);
  return x.apply(multiplyOperation, [x, fill(x, [], factor)], {});
}

/** x + value, everywhere. */
export const offset = (x: Tensor, value: number): Tensor => add(x, fill(x, [], value));

/** 1 − x. */
export const complement = (x: Tensor): Tensor => subtract(fill(x, [], 1), x);

/** The larger of both; where they are equal, the gradient goes to the left. */
export const maximum = (left: Tensor, right: Tensor): Tensor => left.apply(maximumOperation, [left, right], {});
/** The smaller of both; where they are equal, the gradient goes to the left. */
export const minimum = (left: Tensor, right: Tensor): Tensor => left.apply(minimumOperation, [left, right], {});
/** 1 where left > right, else 0; no gradient flows through it. */
export const greater = (left: Tensor, right: Tensor): Tensor => left.apply(greaterOperation, [left, right], {});
/** 1 where both are equal, else 0; no gradient flows through it. */
export const equal = (left: Tensor, right: Tensor): Tensor => left.apply(equalOperation, [left, right], {});
/** The left where the condition is not 0, else the right, whatever the other one is there; no gradient flows to the condition. */
export function select(condition: Tensor, left: Tensor, right: Tensor): Tensor {
  const known = uniformOf(condition);
  if (known === undefined) return condition.apply(selectOperation, [condition, left, right], {});
  return expand(known === 0 ? right : left, joint(condition, { ...left, shape: joint(left, right) }));
}

/** x kept within bounds, of which either may be infinite; where it is beyond them, no gradient flows. */
export function clamp(x: Tensor, least: number, most: number): Tensor {
  const above = least === -Infinity ? x : maximum(x, fill(x, [], least));
  return most === Infinity ? above : minimum(above, fill(x, [], most));
}

export const arithmeticOperations = [
  addOperation,
  subtractOperation,
  multiplyOperation,
  divideOperation,
  maximumOperation,
  minimumOperation,
  greaterOperation,
  equalOperation,
  selectOperation,
];
