/** How much work a step is, and whether it is worth a thread of its own. */
import { availableParallelism } from "node:os";
import type { Graph } from "../graph/graph.ts";
import { decodeGraph } from "../graph/serialise.ts";
import { bindShape, product } from "../graph/values.ts";
import type { RunPlan } from "../protocol/messages.ts";

/** So many multiplications take two to four milliseconds: handing them to another thread costs more than it gains. */
const FEW = 2 ** 26;

/** So many take a tenth of a second: where there is one processor, a socket had better wait for them than compete with them. */
const BEARABLE = 2 ** 32;

/**
 * Whether the thread of the socket had better compute a step by itself.
 * @param processors that this process may run on
 */
export const isLight = (
  { train, batch }: Pick<RunPlan, "train" | "batch">,
  processors = availableParallelism(),
): boolean => batch * multiplicationsOf(decodeGraph(train)) <= (processors === 1 ? BEARABLE : FEW);

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
