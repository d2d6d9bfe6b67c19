/** Conversions between types of numbers. All tensors here are float32: whole numbers and truth values are floats that hold them. */
import type { Tensor } from "../../operation.ts";
import { complement, equal, multiply } from "../../operations/arithmetic.ts";
import { absolute, floor, sign } from "../../operations/elementwise.ts";
import { fill, uniformOf } from "../../operations/source.ts";
import type { Dim } from "../../values.ts";
import type { NodeContext, Rule } from "./context.ts";
import { ofNumbers, ofTensor } from "./value.ts";

const FLOAT = 1;
const BOOL = 9;
/** int32, int64 and truth values. */
const INTEGERS: readonly number[] = [6, 7, BOOL];

const comparisons: ReadonlySet<string> = new Set(["greater", "equal"]);
const giveWhole: ReadonlySet<string> = new Set([...comparisons, "floor", "ceil", "round", "sign"]);
/** Whole wherever what they are given is. */
const keepWhole: ReadonlySet<string> = new Set(
  "add subtract multiply maximum minimum select absolute relu reshape expand transpose slice concat pad".split(" "),
);

/** Whether a tensor holds whole numbers by the way it is computed: an index or a comparison is not rounded again. */
function isWhole(x: Tensor, node: NodeContext): boolean {
  const { name } = x.operation;
  const uniform = uniformOf(x);
  if (uniform !== undefined) return Number.isInteger(uniform);
  if (x === node.data) return node.isDataWhole;
  return giveWhole.has(name) || (keepWhole.has(name) && x.inputs.every((input) => isWhole(input, node)));
}

const targetOf = (node: NodeContext): number => node.number("to", FLOAT);

/** Whether a conversion cuts off what its input has behind the point: a step function. */
export function cutsFractions(node: NodeContext): boolean {
  const to = targetOf(node);
  return to !== BOOL && INTEGERS.includes(to) && node.known(0) === undefined && !isWhole(node.tensor(0), node);
}

function convertKnown(value: Dim, to: number): Dim {
  if (to === BOOL) return value === 0 ? 0 : 1; // there is at least one sample
  return to === FLOAT || to > BOOL || typeof value !== "number" ? value : Math.trunc(value);
}

export const cast: Rule = (node) => {
  const to = targetOf(node);
  const known = node.known(0);
  if (known !== undefined) {
    const values = known.values.map((value) => convertKnown(value, to));
    return ofNumbers(known.shape, values, !INTEGERS.includes(to));
  }
  if (to !== FLOAT && !INTEGERS.includes(to))
    return node.refuse(`it converts to type ${to}`, "Convert the model to float32.");
  const x = node.tensor(0);
  if (to === BOOL) return ofTensor(comparisons.has(x.operation.name) ? x : complement(equal(x, fill(x, [], 0))));
  return ofTensor(cutsFractions(node) ? multiply(sign(x), floor(absolute(x))) : x);
};
