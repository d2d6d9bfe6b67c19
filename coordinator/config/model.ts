/** The schema of `model`: layers and loss as people write them, resolved to the specs the compiler takes. */
import { z } from "zod";
import { activations } from "../../shared/nn/activations.ts";
import { initialisers } from "../../shared/nn/initialisers.ts";
import type { MetricSpec } from "../../shared/nn/metrics.ts";
import type { LayerFunction, LayerSpec, LossFunctions, LossSpec, Sizes } from "../../shared/nn/spec.ts";
import type { StoredModel } from "../../shared/nn/stored.ts";
import { MOST_METRICS } from "../../shared/protocol/messages.ts";
import {
  choice,
  fraction,
  isMap,
  notNegative,
  oneOf,
  positive,
  strict,
  text,
  wholeNumber,
  yesOrNo,
  type Forms,
} from "./fields.ts";

/** Where a model's parameters start. */
export interface WeightsSpec {
  /** Absolute. */
  readonly file: string;
  /** Beginnings of names in the file, and what they are in the model: the longest that fits is replaced. */
  readonly rename?: Readonly<Record<string, string>>;
  /** Parameters that the file doesn't have, or has in another shape, start as if there were no file (false: that is an error). */
  readonly partial?: boolean;
}

const namesOf = <Name extends string>(registry: Readonly<Record<Name, unknown>>): Name[] =>
  Object.keys(registry) as Name[];

const activation = oneOf(namesOf(activations));
const initialiser = oneOf(namesOf(initialisers));

/** One number for height and width, or both. */
function sizes(least: number): z.ZodType<Sizes> {
  const error = `a whole number of at least ${least}, or two: [height, width]`;
  return z.union([wholeNumber(least), z.tuple([wholeNumber(least), wholeNumber(least)])], { error });
}
const padding = sizes(0).exactOptional();
const pool = { size: sizes(1), stride: sizes(1).exactOptional(), padding };

const affine = {
  units: wholeNumber(1),
  activation: activation.exactOptional(),
  bias: yesOrNo.exactOptional(),
  initialiser: initialiser.exactOptional(),
};
const epsilon = positive.exactOptional();

/** A function of TypeScript; a file has none. */
const isFunction = (value: unknown): boolean => typeof value === "function";
const layerFunction = z.custom<LayerFunction>(isFunction, { error: "a function, which only TypeScript can give" });
const lossFunction = <Name extends keyof LossFunctions>(): z.ZodType<LossFunctions[Name]> =>
  z.custom<LossFunctions[Name]>(isFunction, { error: "a function, which only TypeScript can give" });

export const layerForms: Forms<LayerSpec> = {
  dense: affine,
  linear: affine,
  embedding: {
    vocabulary: wholeNumber(1),
    width: wholeNumber(1),
    initialiser: initialiser.exactOptional(),
  },
  positionEmbedding: { initialiser: initialiser.exactOptional() },
  layerNorm: { epsilon },
  rmsNorm: { epsilon },
  groupNorm: { groups: wholeNumber(1), epsilon },
  selfAttention: {
    heads: wholeNumber(1),
    causal: yesOrNo.exactOptional(),
    bias: yesOrNo.exactOptional(),
    initialiser: initialiser.exactOptional(),
  },
  residual: { layers: z.lazy(() => layerList) },
  custom: { name: text("the layer's name"), apply: layerFunction.exactOptional() },
  onnx: {
    file: text("the path of an ONNX file"),
    output: text("the name of a tensor in it").exactOptional(),
    prefix: text("what stands in front of its parameters' names").exactOptional(),
  },
  conv2d: {
    filters: wholeNumber(1),
    kernel: sizes(1),
    stride: sizes(1).exactOptional(),
    padding: z
      .union([z.literal("same"), sizes(0)], { error: "a whole number of at least 0, two of them, or same" })
      .exactOptional(),
    dilation: sizes(1).exactOptional(),
    groups: wholeNumber(1).exactOptional(),
    activation: activation.exactOptional(),
    bias: yesOrNo.exactOptional(),
    initialiser: initialiser.exactOptional(),
  },
  maxPool: pool,
  averagePool: pool,
  globalAveragePool: {},
  flatten: {},
  reshape: { shape: z.array(wholeNumber(1), { error: "a list of sizes" }).min(1, { error: "a list of sizes" }) },
  activation: { activation },
  dropout: { rate: fraction },
  softmax: {},
};

const layer: z.ZodType<LayerSpec> = choice<LayerSpec>(layerForms, {
  short: {
    dense: "units",
    linear: "units",
    groupNorm: "groups",
    selfAttention: "heads",
    residual: "layers",
    onnx: "file",
    maxPool: "size",
    averagePool: "size",
    reshape: "shape",
    activation: "activation",
    dropout: "rate",
  },
  aliases: Object.fromEntries(namesOf(activations).map((name) => [name, { kind: "activation", activation: name }])),
});

const listError = "a list of at least one layer";
const layerList: z.ZodType<readonly LayerSpec[]> = z.array(layer, { error: listError }).min(1, { error: listError });

const lossForms: Forms<LossSpec> = {
  crossEntropy: {
    labelSmoothing: fraction.exactOptional(),
    classWeights: z
      .union([z.literal("balanced"), z.array(notNegative)], {
        error: "balanced, or a list of one weight for each class",
      })
      .exactOptional(),
  },
  binaryCrossEntropy: {},
  meanSquaredError: {},
  custom: {
    name: text("the loss's name"),
    perSample: lossFunction<"perSample">().exactOptional(),
    predict: lossFunction<"predict">().exactOptional(),
  },
};

const metricForms: Forms<MetricSpec> = {
  topK: { k: wholeNumber(1) },
  confusion: {},
  perplexity: {},
  meanAbsoluteError: {},
  rootMeanSquaredError: {},
};

export const metricsSchema = z
  .array(choice<MetricSpec>(metricForms, { short: { topK: "k" } }), { error: "a list of metrics" })
  .max(MOST_METRICS, { error: `${MOST_METRICS} metrics at most` });

const weightsFile = text("the path of a safetensors file");
const weightsSchema: z.ZodType<WeightsSpec> = z
  .union(
    [
      weightsFile,
      strict({
        file: weightsFile,
        rename: z
          .record(z.string(), z.string(), { error: "beginnings of names, and what replaces them" })
          .exactOptional(),
        partial: yesOrNo.exactOptional(),
      }),
    ],
    { error: "the path of a safetensors file, or a map: file, rename, partial" },
  )
  .transform((weights) => (typeof weights === "string" ? { file: weights } : weights));

/** Layers and loss may be left out: their defaults depend on the data. */
export const modelSchema = strict({
  layers: layerList.exactOptional(),
  loss: choice<LossSpec>(lossForms).exactOptional(),
  inputWidth: wholeNumber(1).exactOptional(),
  weights: weightsSchema.exactOptional(),
  graphs: z.custom<StoredModel>(isMap, { error: "graphs, as a run keeps them" }).exactOptional(),
});
