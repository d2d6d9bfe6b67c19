/** How much work a step is. */
import type { Graph } from "../graph/graph.ts";
import { decodeGraph } from "../graph/serialise.ts";
import { bindShape, product } from "../graph/values.ts";
import type { RunPlan } from "../protocol/messages.ts";

/** A processor does so many multiplications in two to four milliseconds. */
const LIGHT = 2 ** 26;

/** Whether a step of the whole batch takes few multiplications. */
export const isLight = ({ train, batch }: Pick<RunPlan, "train" | "batch">): boolean =>
  batch * multiplicationsOf(decodeGraph(train)) <= LIGHT;

/**
 * About how many multiplications a graph takes for a sample: √(|a|·|b|·|c|) of every operation on a and b that gives c, which is
 * exact for a product of matrices (m·k, k·n, m·n), too low by the kernel's width for a convolution, and too high for what is done
 * element by element.
 */
export const multiplicationsOf = ({ values }: Graph): number =>
  values.reduce((sum, value) => {
    const sizes = [value, ...value.inputs.slice(0, 2).map((input) => values[input]!)].map(sizeOf);
    return sum + (sizes.length === 3 ? Math.sqrt(product(sizes)) : 0);
  }, 0);

const sizeOf = ({ shape }: Graph["values"][number]): number => product(bindShape(shape, 1));
