/** Which thread of a worker computes: how much it has to at a time, and whether that is worth a thread of its own. */
import { availableParallelism } from "node:os";
import type { Graph } from "../graph/graph.ts";
import { decodeGraph } from "../graph/serialise.ts";
import { bindShape } from "../graph/values.ts";
import type { RunPlan } from "../protocol/messages.ts";
import { product } from "../shape.ts";
import { ROWS_PER_CALL } from "./cut.ts";

/** So many multiplications take two to four milliseconds: handing them to another thread costs more than it gains. */
const FEW = 2 ** 26;

/**
 * So many take a tenth of a second in products of matrices, and several times that in convolutions, far less than the silence for
 * which a coordinator gives a worker up. Where there is one processor, a socket had better wait for them than compete with them.
 */
const BEARABLE = 2 ** 32;

/**
 * Whether the thread of the socket had better compute by itself. It has its turn between calls of the engine; the longest may be one
 * of an evaluation, whose rows do not depend on the minibatch.
 * @param processors that this process may keep busy
 */
export function suitsSocketThread(
  { train, evaluate, batch }: Pick<RunPlan, "train" | "evaluate" | "batch">,
  processors = availableParallelism(),
): boolean {
  const step = batch * multiplicationsOf(decodeGraph(train));
  const evaluation = ROWS_PER_CALL * multiplicationsOf(decodeGraph(evaluate));
  return step <= (processors === 1 ? BEARABLE : FEW) && evaluation <= BEARABLE;
}

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
