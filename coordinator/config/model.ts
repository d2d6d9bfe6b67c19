/** The schema of `model`: layers and loss as people write them, resolved to the specs the compiler takes. */
import { z } from "zod";
import { activations } from "../../shared/nn/activations.ts";
import { initialisers } from "../../shared/nn/initialisers.ts";
import type { MetricSpec } from "../../shared/nn/metrics.ts";
import type { LayerSpec, LossSpec, Sizes } from "../../shared/nn/spec.ts";
import { choice, fraction, notNegative, oneOf, strict, wholeNumber, yesOrNo, type Forms } from "./fields.ts";

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

const layerForms: Forms<LayerSpec> = {
  dense: {
    units: wholeNumber(1),
    activation: activation.exactOptional(),
    bias: yesOrNo.exactOptional(),
    initialiser: initialiser.exactOptional(),
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

const layer = choice<LayerSpec>(layerForms, {
  short: {
    dense: "units",
    maxPool: "size",
    averagePool: "size",
    reshape: "shape",
    activation: "activation",
    dropout: "rate",
  },
  aliases: Object.fromEntries(namesOf(activations).map((name) => [name, { kind: "activation", activation: name }])),
});

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
};

const metricForms: Forms<MetricSpec> = {
  topK: { k: wholeNumber(1) },
  confusion: {},
  perplexity: {},
  meanAbsoluteError: {},
  rootMeanSquaredError: {},
};

export const metricsSchema = z.array(choice<MetricSpec>(metricForms, { short: { topK: "k" } }), {
  error: "a list of metrics",
});

const layerList = "a list of at least one layer";

/** Layers and loss may be left out: their defaults depend on the data. */
export const modelSchema = strict({
  layers: z.array(layer, { error: layerList }).min(1, { error: layerList }).exactOptional(),
  loss: choice<LossSpec>(lossForms).exactOptional(),
  inputWidth: wholeNumber(1).exactOptional(),
});
