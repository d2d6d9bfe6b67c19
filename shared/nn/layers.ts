/** Layers as functions of tensors. Each takes parameters and masks from its context and returns its output. */
import { returnedBy, type Tensor } from "../graph/operation.ts";
import { multiply } from "../graph/operations/arithmetic.ts";
import { flatten, reshape } from "../graph/operations/broadcast.ts";
import { linear, matmul } from "../graph/operations/matmul.ts";
import type { Dim } from "../graph/values.ts";
import { activations } from "./activations.ts";
import { imageLayers } from "./images.ts";
import { importedLayers } from "./imported.ts";
import { normLayers } from "./norms.ts";
import { sequenceLayers } from "./sequences.ts";
import type { LayerContext, LayerFunction, LayerSpec, NetworkContext } from "./spec.ts";

type Of<Kind extends LayerSpec["kind"]> = Extract<LayerSpec, { kind: Kind }>;
type Layers = { readonly [Kind in LayerSpec["kind"]]: (x: Tensor, layer: Of<Kind>, context: NetworkContext) => Tensor };

/** x·Wᵀ + b over the last axis. */
function affine(x: Tensor, spec: Omit<Of<"linear">, "kind">, { parameter }: LayerContext): Tensor {
  const { units, activation, bias = true, initialiser = "xavier" } = spec;
  const weight = parameter({ name: "weight", shape: [units, x.shape.at(-1) as number], initialiser });
  const scores = bias
    ? linear(x, weight, parameter({ name: "bias", shape: [units] }))
    : matmul(x, weight, { transposeRight: true });
  return activation === undefined ? scores : activations[activation](scores);
}

const layers: Layers = {
  dense: (x, spec, context) => affine(x.shape.length === 2 ? x : flatten(x), spec, context),
  linear: affine,
  ...imageLayers,
  ...normLayers,
  ...sequenceLayers,
  ...importedLayers,
  flatten,
  reshape: (x, { shape }) => reshape(x, [x.shape[0] as Dim, ...shape]),
  activation: (x, { activation }) => activations[activation](x),
  dropout: (x, { rate }, { training, mask }) => (training && rate > 0 ? multiply(x, mask(rate, x.shape)) : x),
  softmax: (x) => x, // crossEntropy takes scores, and the prediction applies the softmax
  custom: (x, { name, apply }, context) => returnedBy(`the layer ${name}`, (apply as LayerFunction)(x, context)),
};

/** Whether a value says that it is a layer of a known kind. */
export const isLayer = (value: unknown): value is LayerSpec => Object.hasOwn(layers, Object(value).kind);

export const applyLayer = (x: Tensor, layer: LayerSpec, context: NetworkContext): Tensor =>
  (layers[layer.kind] as (x: Tensor, layer: LayerSpec, context: NetworkContext) => Tensor)(x, layer, context);

/** How many numbers a layer takes in PyTorch's counting: an activation given inside a layer is a layer there. */
export const layersCounted = (layer: LayerSpec): number =>
  "activation" in layer && layer.kind !== "activation" && layer.activation !== undefined ? 2 : 1;
