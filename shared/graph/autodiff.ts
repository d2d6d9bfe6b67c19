/**
 * Reverse-mode differentiation, graph to graph: the derivative of one scalar with respect to some values, built from the
 * derivative rules that stand beside the operations. A value used several times receives the sum of its gradients.
 */
import type { GraphBuilder } from "./graph.ts";
import type { Tensor } from "./operation.ts";
import { add } from "./operations/arithmetic.ts";
import { describeShape, sameShape } from "./values.ts";

/** d total / d value, for each of `values`, in its shape; zeros where `total` doesn't depend on it. */
export function gradientsOf(builder: GraphBuilder, total: Tensor, values: readonly Tensor[]): Tensor[] {
  if (total.shape.length > 0) throw new RangeError(`gradients are of a scalar, not of ${describeShape(total.shape)}`);
  const relevant = new Set(values);
  const forward = builder.tensors.slice(0, total.index + 1);
  for (const tensor of forward) {
    if (tensor.inputs.some((input) => relevant.has(input))) relevant.add(tensor);
  }
  const gradients = new Map<Tensor, Tensor>([[total, builder.uniform([], 1)]]);
  for (const tensor of forward.toReversed()) {
    const gradient = gradients.get(tensor);
    if (gradient === undefined || !relevant.has(tensor)) continue;
    const { operation, inputs, attributes } = tensor;
    const toInputs = operation.gradient({ inputs, output: tensor, gradient, attributes });
    inputs.forEach((input, place) => {
      const share = toInputs[place];
      if (share === undefined || !relevant.has(input)) return;
      if (!sameShape(share.shape, input.shape)) {
        throw new RangeError(
          `${operation.name}: a gradient ${describeShape(share.shape)} for ${describeShape(input.shape)}`,
        );
      }
      const sofar = gradients.get(input);
      gradients.set(input, sofar === undefined ? share : add(sofar, share));
    });
  }
  return values.map((value) => gradients.get(value) ?? builder.uniform(value.shape, 0));
}
