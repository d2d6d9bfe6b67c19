/** Models: names, shapes, inputs and outputs as the rest of Lockstep relies on them, and errors that name the layer. */
import { describe, expect, test } from "vitest";
import { onnxRuntimeEngine } from "../../../shared/engine/onnxruntime.ts";
import { fuse } from "../../../shared/graph/fuse.ts";
import type { Tensor } from "../../../shared/graph/operation.ts";
import { ops } from "../../../shared/graph/operations/checked.ts";
import { describeShape } from "../../../shared/graph/values.ts";
import { layoutOf, slotView } from "../../../shared/memory/layout.ts";
import { transformerBlock } from "../../../shared/nn/builders.ts";
import { compileModel, initialParameters } from "../../../shared/nn/model.ts";
import type { LayerContext, LayerFunction, LayerSpec, LossSpec, ModelSpec } from "../../../shared/nn/spec.ts";
import { runOnce, someNumbers } from "../../support/programs.ts";

const classes = (layers: readonly LayerSpec[], more: Partial<ModelSpec> = {}): ModelSpec => ({
  inputShape: [6],
  target: { kind: "class", classes: 3 },
  layers,
  loss: { kind: "crossEntropy" },
  ...more,
});
const dense = (units: number, more: object = {}): LayerSpec => ({ kind: "dense", units, ...more });

describe("a model", () => {
  test("names its parameters as PyTorch does", () => {
    const named = (layers: readonly LayerSpec[]) => compileModel(classes(layers)).parameters.map(({ name }) => name);
    expect(named([dense(5, { activation: "relu" }), dense(3)])).toEqual(["0.weight", "0.bias", "2.weight", "2.bias"]);
    expect(named([dense(5), { kind: "activation", activation: "relu" }, dense(3, { bias: false })])).toEqual([
      "0.weight",
      "0.bias",
      "2.weight",
    ]);
    expect(
      named([dense(5, { activation: "tanh" }), { kind: "dropout", rate: 0.5 }, dense(3), { kind: "softmax" }]),
    ).toEqual(["0.weight", "0.bias", "3.weight", "3.bias"]);
  });

  test("has the inputs and outputs that the worker feeds and reads", () => {
    const spec = classes([dense(5, { activation: "relu" }), { kind: "dropout", rate: 0.25 }, dense(3)], {
      inputShape: [2, 3],
    });
    const { train, evaluate, predict, metrics } = compileModel(spec);
    expect(
      train.inputs.map(({ name, value }) => [
        name,
        train.values[value]?.dtype,
        describeShape(train.values[value]?.shape ?? []),
      ]),
    ).toEqual([
      ["features", "float32", "[samples, 2, 3]"],
      ["parameter:0.weight", "float32", "[5, 6]"],
      ["parameter:0.bias", "float32", "[5]"],
      ["mask:2", "float32", "[samples, 5]"],
      ["parameter:3.weight", "float32", "[3, 5]"],
      ["parameter:3.bias", "float32", "[3]"],
      ["targets", "int32", "[samples]"],
    ]);
    expect(train.inputs.find(({ kind }) => kind === "mask")).toMatchObject({ kind: "mask", rate: 0.25, layer: 2 });
    const outputs = train.outputs.map(({ name, value }) => [name, describeShape(train.values[value]?.shape ?? [])]);
    expect(outputs).toEqual([
      ["gradient:0.weight", "[5, 6]"],
      ["gradient:0.bias", "[5]"],
      ["gradient:3.weight", "[3, 5]"],
      ["gradient:3.bias", "[3]"],
      ["metric:loss", "[]"],
      ["metric:correct", "[]"],
    ]);
    expect(metrics).toEqual(["loss", "correct"]);
    expect(evaluate.outputs.map(({ name }) => name)).toEqual(["metric:loss", "metric:correct"]);
    expect(evaluate.inputs.map(({ kind }) => kind)).not.toContain("mask");
    expect(predict.inputs.map(({ kind }) => kind)).not.toContain("targets");
    expect(predict.outputs.map(({ name }) => name)).toEqual(["probabilities"]);
  });

  test.each([
    ["meanSquaredError", "output"],
    ["binaryCrossEntropy", "probabilities"],
  ] as const)("under %s has values as targets and predicts %s", (kind, output) => {
    const model = compileModel(classes([dense(2)], { target: { kind: "values", width: 2 }, loss: { kind } }));
    const targets = model.train.inputs.find(({ name }) => name === "targets");
    expect(model.train.values[targets?.value ?? -1]).toMatchObject({ dtype: "float32", shape: [{ rows: 1 }, 2] });
    expect(model.metrics).toEqual(["loss"]);
    expect(model.predict.outputs.map(({ name }) => name)).toEqual([output]);
  });

  test("of images keeps height and width under the padding same, and counts one channel where there is none", () => {
    const conv = { kind: "conv2d", filters: 2, kernel: [3, 4], padding: "same" } as const;
    const spec = classes([conv, { kind: "globalAveragePool" }, dense(3)], { inputShape: [5, 7] });
    const { train, parameters } = compileModel(spec);
    const convolved = train.values.find(({ operation }) => operation === "conv2d");
    expect(describeShape(convolved?.shape ?? [])).toBe("[samples, 2, 5, 7]");
    expect(parameters.map(({ name, shape }) => [name, shape])).toEqual([
      ["0.weight", [2, 1, 3, 4]],
      ["0.bias", [2]],
      ["2.weight", [3, 2]],
      ["2.bias", [3]],
    ]);
  });

  test("drops what the mask drops, and its gradient", async () => {
    const { train } = compileModel(classes([{ kind: "dropout", rate: 0.5 }, dense(3)]));
    const numbers = {
      features: someNumbers(12),
      "mask:0": [2, 0, 2, 0, 2, 0, 2, 0, 0, 0, 2, 2],
      targets: [0, 2],
      "parameter:1.weight": someNumbers(18, 2),
      "parameter:1.bias": [0, 0, 0],
    };
    const masked = await runOnce(onnxRuntimeEngine(), fuse(train, [2]), numbers);
    const dropped = numbers.features.map((value, entry) => value * (numbers["mask:0"][entry] as number));
    const plain = compileModel(classes([dense(3)])).train;
    const same = await runOnce(onnxRuntimeEngine(), fuse(plain, [2]), {
      features: dropped,
      targets: numbers.targets,
      "parameter:0.weight": numbers["parameter:1.weight"],
      "parameter:0.bias": [0, 0, 0],
    });
    expect(masked["gradient:1.weight"]).toEqual(same["gradient:0.weight"]);
    expect(masked["metric:loss"]).toEqual(same["metric:loss"]);
  });

  test("counts the first of equal scores as the answer", async () => {
    const { evaluate } = compileModel(classes([dense(3)]));
    const zeros = {
      features: new Float32Array(24),
      "parameter:0.weight": new Float32Array(18),
      "parameter:0.bias": [0, 0, 0],
    };
    const outputs = await runOnce(onnxRuntimeEngine(), fuse(evaluate, [4]), { ...zeros, targets: [0, 1, 0, 2] });
    expect(outputs["metric:correct"]).toEqual(Float32Array.of(2));
  });

  test("counts what a loss of one's own predicts, not what goes into it", async () => {
    // Distances, of which the least is the answer.
    const loss: LossSpec = {
      kind: "custom",
      name: "distances",
      perSample: (output, labels) => ops.crossEntropy(ops.scale(output, -1), labels),
      predict: (output) => ops.softmax(ops.scale(output, -1)),
    };
    const { evaluate } = compileModel(classes([dense(3)], { loss }));
    const given = {
      features: new Float32Array(24),
      "parameter:0.weight": new Float32Array(18),
      "parameter:0.bias": [3, 1, 2],
    };
    const outputs = await runOnce(onnxRuntimeEngine(), fuse(evaluate, [4]), { ...given, targets: [0, 1, 1, 1] });
    expect(outputs["metric:correct"]).toEqual(Float32Array.of(3));
  });

  test("has a softmax layer in name only", () => {
    const plain = compileModel(classes([dense(3)]));
    expect(compileModel(classes([dense(3), { kind: "softmax" }]))).toEqual(plain);
  });
});

describe("refuses", () => {
  const values = { target: { kind: "values", width: 2 }, loss: { kind: "meanSquaredError" } } as const;
  const refusals: readonly (readonly [string, ModelSpec, string, string])[] = [
    [
      "too few outputs",
      classes([dense(5), dense(2)]),
      "SHAPE_MISMATCH",
      "layers[1] (dense) gives [samples, 2], the targets want [samples, 3]",
    ],
    [
      "too many values",
      classes([dense(5)], values),
      "SHAPE_MISMATCH",
      "layers[0] (dense) gives [samples, 5], the targets want [samples, 2]",
    ],
    ["no units", classes([dense(0)]), "CONFIG_INVALID", "layers[0] (dense): units is 0"],
    [
      "an unknown activation",
      classes([dense(3, { activation: "swish" })]),
      "CONFIG_INVALID",
      'layers[0] (dense): there is no activation "swish"',
    ],
    [
      "an unknown initialiser",
      classes([dense(3, { initialiser: "magic" })]),
      "CONFIG_INVALID",
      'layers[0] (dense): there is no initialiser "magic"',
    ],
    [
      "a rate of one",
      classes([{ kind: "dropout", rate: 1 }, dense(3)]),
      "CONFIG_INVALID",
      "layers[0] (dropout): rate is 1",
    ],
    [
      "softmax before the end",
      classes([{ kind: "softmax" }, dense(3)]),
      "CONFIG_INVALID",
      "layers[0] (softmax) under crossEntropy, layer 1 of 2",
    ],
    [
      "softmax under another loss",
      classes([dense(2), { kind: "softmax" }], values),
      "CONFIG_INVALID",
      "layers[1] (softmax) under meanSquaredError",
    ],
    [
      "a loss for other targets",
      classes([dense(3)], { loss: { kind: "meanSquaredError" } }),
      "CONFIG_INVALID",
      'wants targets of kind "values", the data has "class"',
    ],
    [
      "labels wanted for values",
      classes([dense(2)], { ...values, loss: { kind: "crossEntropy" } }),
      "CONFIG_INVALID",
      'wants targets of kind "class", the data has "values"',
    ],
    [
      "smoothing of one",
      classes([dense(3)], { loss: { kind: "crossEntropy", labelSmoothing: 1 } }),
      "CONFIG_INVALID",
      "loss.labelSmoothing is 1",
    ],
    ["no layers", classes([]), "CONFIG_INVALID", "the model has no layers"],
    ["no input", classes([dense(3)], { inputShape: [] }), "CONFIG_INVALID", "inputShape is []"],
    [
      "a convolution of what has no height and width",
      classes([dense(5), { kind: "conv2d", filters: 2, kernel: 3 }, dense(3)]),
      "SHAPE_MISMATCH",
      "layers[1] (conv2d), given [samples, 5] by layers[0] (dense): conv2d wants images [n, channels, height, width]",
    ],
    [
      "a kernel larger than the image",
      classes([{ kind: "maxPool", size: 2 }, { kind: "conv2d", filters: 2, kernel: [3, 2] }, dense(3)], {
        inputShape: [4, 6],
      }),
      "SHAPE_MISMATCH",
      "layers[1] (conv2d), given [samples, 1, 2, 3] by layers[0] (maxPool): conv2d: a kernel of 3×2 does not fit into 2×3",
    ],
    [
      "channels that groups don't divide",
      classes([{ kind: "conv2d", filters: 4, kernel: 1, groups: 2 }, dense(3)], { inputShape: [3, 4, 6] }),
      "SHAPE_MISMATCH",
      "layers[0] (conv2d), given [samples, 3, 4, 6] by the data",
    ],
    [
      "padding that keeps sizes, with a stride",
      classes([{ kind: "conv2d", filters: 4, kernel: 3, padding: "same", stride: 2 }, dense(3)], {
        inputShape: [4, 6],
      }),
      "CONFIG_INVALID",
      'padding "same" with a stride of 2×2',
    ],
    [
      "a pool with more padding than half of it",
      classes([{ kind: "averagePool", size: 2, padding: 2 }, dense(3)], { inputShape: [4, 6] }),
      "SHAPE_MISMATCH",
      "averagePool by 2×2 wants padding of at most half the kernel",
    ],
    [
      "another number of values",
      classes([{ kind: "reshape", shape: [2, 2] }, dense(3)]),
      "SHAPE_MISMATCH",
      "layers[0] (reshape), given [samples, 6] by the data: reshape to [samples, 2, 2]",
    ],
    [
      "sizes that no machine holds",
      classes([dense(2 ** 31), dense(3)]),
      "GRAPH_INVALID",
      "layers[0] (dense), given [samples, 6]",
    ],
  ];
  test.each(refusals)("%s", (_what, spec, code, message) => {
    expect(() => compileModel(spec)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  });
});

describe("functions of one's own, in plain JavaScript", () => {
  const layer = (apply: (x: Tensor, context: LayerContext) => unknown): ModelSpec =>
    classes([{ kind: "custom", name: "mine", apply: apply as LayerFunction }]);
  const loss = (functions: object): ModelSpec =>
    classes([dense(3)], { loss: { kind: "custom", name: "mine", ...functions } });
  const perSample = (output: Tensor): Tensor => ops.sum(output, [1]);
  const asked = (ask: (context: Record<keyof LayerContext, (...given: unknown[]) => Tensor>, x: Tensor) => unknown) =>
    layer((x, context) => ask(context as never, x));
  /** The operations, as plain JavaScript sees them. */
  const { relu, add, subtract, multiply, maximum, concat, sum, slice, conv2d, maxPool, fill, power } =
    ops as unknown as Record<keyof typeof ops, (...given: unknown[]) => Tensor>;

  test.each<[string, ModelSpec, string]>([
    ["a layer", layer(() => undefined), "the layer mine returned undefined, expected a tensor"],
    ["a promise", layer((x) => Promise.resolve(x)), "the layer mine returned Promise {"],
    ["a loss", loss({ perSample: () => undefined }), "the loss mine returned undefined, expected a tensor"],
    ["predict", loss({ perSample, predict: () => 1 }), "predict of the loss mine returned 1, expected a tensor"],
    ["relu", layer(() => relu(2)), "ops.relu: x: found 2, expected a tensor"],
    [
      "relu of a layer",
      layer(() => relu(dense(2))),
      "ops.relu: x: found { kind: 'dense', units: 2 }, expected a tensor",
    ],
    ["nothing", layer(() => relu()), "ops.relu: x: found undefined, expected a tensor"],
    ["add", layer((x) => add(x)), "ops.add: right: found undefined, expected a tensor"],
    ["multiply", layer((x) => multiply(x, 2)), "ops.multiply: right: found 2, expected a tensor"],
    ["multiply from the left", layer((x) => multiply(2, x)), "ops.multiply: left: found 2, expected a tensor"],
    ["subtract", layer((x) => subtract(x, 2)), "ops.subtract: right: found 2, expected a tensor"],
    ["maximum", layer((x) => maximum(x, 2)), "ops.maximum: right: found 2, expected a tensor"],
    ["concat", layer((x) => concat(x, x)), "ops.concat: parts: found {"],
    [
      "concat of nothing",
      layer(() => concat([])),
      "ops.concat: parts: found [], expected a list of at least one tensor",
    ],
    ["axes", layer((x) => sum(x, 1)), "ops.sum: axes: found 1, expected a list of whole numbers"],
    ["no axes", layer((x) => sum(x)), "ops.sum: axes: found undefined, expected a list of whole numbers"],
    ["keep", layer((x) => sum(x, [1], 1)), "ops.sum: keep: found 1, expected true or false"],
    ["an end", layer((x) => slice(x, 1, 0)), "ops.slice: end: found undefined, expected a whole number"],
    ["an option", layer((x) => maxPool(x, { kernel: 2 })), "ops.maxPool: options.kernel: found 2, expected a list"],
    ["no options", layer((x) => maxPool(x)), "ops.maxPool: options: found undefined, expected a map of kernel, stride"],
    [
      "an option there is not",
      layer((x) => conv2d(x, x, undefined, { pad: 1 })),
      "ops.conv2d: options.pad: found 1, expected one of stride, padding, dilation, groups",
    ],
    [
      "a shape",
      layer((x) => fill(x, ["samples"], 1)),
      "ops.fill: shape: found [ 'samples' ], expected a list of sizes",
    ],
    ["no number", layer((x) => power(x, Number.NaN)), "ops.power: exponent: found NaN, expected a finite number"],
    ["no parameter", asked(({ parameter }) => parameter()), "parameter: found undefined, expected a map"],
    ["a parameter's name alone", asked(({ parameter }) => parameter("w")), "parameter: found 'w', expected a map"],
    [
      "no name",
      asked(({ parameter }) => parameter({ shape: [3] })),
      "parameter: name: found undefined, expected a text",
    ],
    ["no shape", asked(({ parameter }) => parameter({ name: "w" })), "parameter w: shape: found undefined, expected a"],
    [
      "a width",
      asked(({ parameter }) => parameter({ name: "w", shape: 3 })),
      "parameter w: shape: found 3, expected a",
    ],
    [
      "sizes that are none",
      asked(({ parameter }) => parameter({ name: "w", shape: [3, 0.5] })),
      "parameter w: shape: found [ 3, 0.5 ], expected a list of whole numbers of at least 1",
    ],
    [
      "an initialiser",
      asked(({ parameter }) => parameter({ name: "w", shape: [3], initialiser: "foo" })),
      "parameter w: initialiser: found 'foo', expected one of",
    ],
    [
      "an option of a parameter that there is not",
      asked(({ parameter }) => parameter({ name: "w", shape: [3], init: "zeros" })),
      "parameter w: init: found 'zeros', expected one of name, shape",
    ],
    ["no rate", asked(({ mask }) => mask()), "mask: rate: found undefined, expected a number from 0 up to"],
    ["a mask without shape", asked(({ mask }) => mask(0.5)), "mask: shape: found undefined, expected a list of sizes"],
    ["use without layer", asked(({ use }, x) => use(x, dense(3))), "use: layer: found {"],
    ["use without x", asked(({ use }) => use(dense(3))), "use: x: found undefined, expected a tensor"],
  ])("%s: what is wrong is said", (_, spec, message) => {
    const refused = {
      code: "CONFIG_INVALID",
      message: expect.stringContaining(message),
      hint: expect.stringMatching(/./),
    };
    expect(() => compileModel(spec)).toThrow(expect.objectContaining(refused));
  });
});

describe("a layer of one's own in which a sample would depend on others is refused", () => {
  const samples = "would mix the samples of [samples, 6]";
  test.each<[string, (x: Tensor) => Tensor, string]>([
    ["sum", (x) => ops.sum(x, [0]), `sum over axes [0] ${samples}`],
    ["sum, kept", (x) => ops.sum(x, [0], true), `sum over axes [0] ${samples}`],
    ["sum, counted from the end", (x) => ops.sum(x, [-2]), `sum over axes [-2] ${samples}`],
    ["mean", (x) => ops.mean(x, [0, 1]), `mean over axes [0, 1] ${samples}`],
    ["largest", (x) => ops.largest(x, [0]), `largest over axes [0] ${samples}`],
    ["softmax", (x) => ops.softmax(x, 0), `softmax along axis 0 ${samples}`],
    ["logSoftmax", (x) => ops.logSoftmax(x, -2), `logSoftmax along axis -2 ${samples}`],
    ["matmul", (x) => ops.matmul(x, x, { transposeLeft: true }), `ops.matmul ${samples} and [samples, 6]`],
    ["sumByRow", (x) => ops.sumByRow(ops.sum(x, [1]), x, 4), "ops.sumByRow would mix the samples of [samples] and"],
  ])("%s", (_, mixed, message) => {
    const apply = (x: Tensor): Tensor => ops.add(x, ops.scale(mixed(x), 2));
    const refused = {
      code: "SHAPE_MISMATCH",
      message: expect.stringContaining(`layers[0] (custom), given [samples, 6] by the data: ${message}`) as string,
      hint: expect.stringContaining("must not depend on which others") as string,
    };
    expect(() => compileModel(classes([{ kind: "custom", name: "mine", apply }]))).toThrow(
      expect.objectContaining(refused),
    );
  });
});

test("a transformer block without heads is refused by name", () => {
  const build = transformerBlock as (...given: unknown[]) => unknown;
  const refused = (message: string) =>
    expect.objectContaining({ code: "CONFIG_INVALID", message: expect.stringContaining(message) as string });
  expect(() => build(8)).toThrow(refused("transformerBlock: options: found undefined, expected a map of heads"));
  expect(() => build(8, {})).toThrow(refused("transformerBlock: options.heads: found undefined, expected a whole"));
});

describe("initial parameters", () => {
  const model = compileModel(
    classes(
      [dense(400, { activation: "relu", initialiser: "he" }), dense(300, { initialiser: "glorotUniform" }), dense(3)],
      { inputShape: [200] },
    ),
  );
  const layout = layoutOf(model.parameters);
  const start = (seed: number): Float32Array => {
    const vector = new Float32Array(layout.size);
    initialParameters(model, layout, seed, vector);
    return vector;
  };
  const spread = (values: Float32Array): number =>
    Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

  test("follow from the seed", () => {
    expect(start(5)).toEqual(start(5));
    expect(start(5)).not.toEqual(start(6));
  });

  test("have the spread of their rule, and biases and padding of zero", () => {
    const vector = start(1);
    expect(spread(slotView(layout, "0.weight", vector))).toBeCloseTo(Math.sqrt(2 / 200), 3);
    const uniform = slotView(layout, "2.weight", vector);
    expect(spread(uniform)).toBeCloseTo(Math.sqrt(2 / 700), 3);
    expect(Math.max(...uniform)).toBeLessThanOrEqual(Math.sqrt(6 / 700));
    expect(spread(slotView(layout, "3.weight", vector))).toBeCloseTo(Math.sqrt(2 / 303), 2);
    const used = new Set(
      layout.slots
        .filter(({ name }) => name.endsWith("weight"))
        .flatMap(({ offset, length }) => [...Array(length).keys()].map((entry) => offset + entry)),
    );
    expect(vector.every((value, place) => used.has(place) || value === 0)).toBe(true);
  });
});
