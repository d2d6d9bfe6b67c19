/** Every operation there is, by name. Adding one: its family's file, and its family's line here. */
import { LockstepError } from "../../errors.ts";
import type { Operation } from "../operation.ts";
import { arithmeticOperations } from "./arithmetic.ts";
import { arrangeOperations } from "./arrange.ts";
import { averagePoolOperations } from "./average-pool.ts";
import { batchMatmulOperations } from "./batch-matmul.ts";
import { broadcastOperations } from "./broadcast.ts";
import { convolutionOperations } from "./convolution.ts";
import { elementwiseOperations } from "./elementwise.ts";
import { labelOperations } from "./labels.ts";
import { lookupOperations } from "./lookup.ts";
import { matmulOperations } from "./matmul.ts";
import { maxPoolOperations } from "./max-pool.ts";
import { normOperations } from "./normalise.ts";
import { reduceOperations } from "./reduce.ts";
import { softmaxOperations } from "./softmax.ts";
import { sourceOperations } from "./source.ts";

export const operations: ReadonlyMap<string, Operation> = new Map(
  [
    ...sourceOperations,
    ...arithmeticOperations,
    ...broadcastOperations,
    ...elementwiseOperations,
    ...matmulOperations,
    ...softmaxOperations,
    ...labelOperations,
    ...reduceOperations,
    ...arrangeOperations,
    ...batchMatmulOperations,
    ...lookupOperations,
    ...normOperations,
    ...convolutionOperations,
    ...maxPoolOperations,
    ...averagePoolOperations,
  ].map((operation) => [operation.name, operation as Operation]),
);

export function operationNamed(name: string): Operation {
  const operation = operations.get(name);
  if (operation !== undefined) return operation;
  throw new LockstepError(
    "GRAPH_INVALID",
    `there is no operation "${name}"`,
    `There are: ${[...operations.keys()].join(", ")}.`,
  );
}
