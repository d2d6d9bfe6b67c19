/** Layers as functions of tensors. Each takes parameters and masks from its context and returns its output. */
import { type Tensor } from "../graph/operation.ts";
import { multiply } from "../graph/operations/arithmetic.ts";
import { flatten, reshape } from "../graph/operations/broadcast.ts";
import { linear, matmul } from "../graph/operations/matmul.ts";
import type { Dim, Shape } from "../graph/values.ts";
import { activations } from "./activations.ts";
import { imageLayers } from "./images.ts";
import type { Initialiser, LayerSpec } from "./spec.ts";

/** A parameter as the run's layout and its initialisation need it. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initialiser: Initialiser;
  readonly fanIn: number;
  readonly fanOut: number;
}

/** What a layer may ask for. */
export interface LayerContext {
  /** Whether gradients are wanted; dropout does nothing else. */
  readonly training: boolean;
  /** A parameter of this layer; its name gets the layer's number in front. */
  readonly parameter: (parameter: Parameter) => Tensor;
  /** A tensor of 0 and 1/(1−rate), fed at every run. */
  readonly mask: (rate: number, shape: Shape) => Tensor;
}

type Of<Kind extends LayerSpec["kind"]> = Extract<LayerSpec, { kind: Kind }>;
type Layers = { readonly [Kind in LayerSpec["kind"]]: (x: Tensor, layer: Of<Kind>, context: LayerContext) => Tensor };

export const layers: Layers = {
  dense(input, { units, activation, bias = true, initialiser = "xavier" }, context) {
    const x = input.shape.length === 2 ? input : flatten(input);
    const width = x.shape[1] as number;
    const fans = { fanIn: width, fanOut: units };
    const weight = context.parameter({ name: "weight", shape: [units, width], initialiser, ...fans });
    const scores = bias
      ? linear(x, weight, context.parameter({ name: "bias", shape: [units], initialiser: "zeros", ...fans }))
      : matmul(x, weight, { transposeRight: true });
    return activation === undefined ? scores : activations[activation](scores);
  },
  ...imageLayers,
  flatten,
  reshape: (x, { shape }) => reshape(x, [x.shape[0] as Dim, ...shape]),
  activation: (x, { activation }) => activations[activation](x),
  dropout: (x, { rate }, { training, mask }) => (training && rate > 0 ? multiply(x, mask(rate, x.shape)) : x),
  softmax: (x) => x, // crossEntropy takes scores, and the prediction applies the softmax
};

/** How many numbers a layer takes in PyTorch's counting: an activation given inside a layer is a layer there. */
export const layersCounted = (layer: LayerSpec): number =>
  (layer.kind === "dense" || layer.kind === "conv2d") && layer.activation !== undefined ? 2 : 1;
