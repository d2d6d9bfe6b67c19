/** The schema of `model`: layers and loss as people write them, resolved to the specs the compiler takes. */
import { z } from "zod";
import { activations } from "../../shared/nn/activations.ts";
import { initialisers } from "../../shared/nn/initialisers.ts";
import type { MetricSpec } from "../../shared/nn/metrics.ts";
import type { LayerSpec, LossSpec } from "../../shared/nn/spec.ts";
import { choice, fraction, notNegative, oneOf, strict, wholeNumber, yesOrNo, type Forms } from "./fields.ts";

const namesOf = <Name extends string>(registry: Readonly<Record<Name, unknown>>): Name[] =>
  Object.keys(registry) as Name[];

const activation = oneOf(namesOf(activations));

const layerForms: Forms<LayerSpec> = {
  dense: {
    units: wholeNumber(1),
    activation: activation.exactOptional(),
    bias: yesOrNo.exactOptional(),
    initialiser: oneOf(namesOf(initialisers)).exactOptional(),
  },
  activation: { activation },
  dropout: { rate: fraction },
  softmax: {},
};

const layer = choice<LayerSpec>(layerForms, {
  short: { dense: "units", activation: "activation", dropout: "rate" },
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
