/** Every option of a config: its default, a value that is accepted, and one that is refused, with the message. */
import { describe, expect, it } from "vitest";
import { configOf, configRefusal } from "../../support/config.ts";
import { configSchema } from "../../../coordinator/config/schema.ts";
import type { RunConfig } from "../../../coordinator/config/config.ts";

interface OptionCase {
  readonly key: string;
  readonly value: (config: RunConfig) => unknown;
  readonly byDefault: unknown;
  readonly accepted: readonly (readonly [yaml: string, resolved: unknown])[];
  readonly refused: readonly (readonly [yaml: string, message: string])[];
}

const classic = [
  { kind: "dense", units: 64, activation: "relu" },
  { kind: "dense", units: 10 },
];
const whole = (least: number): string => `expected a whole number of at least ${least}`;

const options: readonly OptionCase[] = [
  {
    key: "name",
    value: ({ name }) => name,
    byDefault: "mnist-1",
    accepted: [["name: first.try_2", "first.try_2"]],
    refused: [
      [
        "name: ../up",
        `config.yaml:1: name: found "../up", expected letters, digits, '.', '_' and '-', starting with a letter or digit, 100 at most`,
      ],
      ["name: 7", "config.yaml:1: name: found 7, expected letters, digits"],
    ],
  },
  {
    key: "seed",
    value: ({ seed }) => seed,
    byDefault: 1,
    accepted: [
      ["seed: 0", 0],
      ["seed: 9007199254740991", 9007199254740991],
    ],
    refused: [
      ["seed: -1", `config.yaml:1: seed: found -1, ${whole(0)}`],
      ["seed: 1.5", `found 1.5, ${whole(0)}`],
    ],
  },
  {
    key: "data",
    value: ({ data }) => data,
    byDefault: { kind: "mnist" },
    accepted: [
      ["data: mnist", { kind: "mnist" }],
      ["data: {idx: /d}", { kind: "idx", path: "/d" }],
      ["data: {idx: {path: /d, classes: 26}}\nmodel: {layers: [dense: 26]}", { kind: "idx", path: "/d", classes: 26 }],
      [
        "data: {csv: {train: /t.csv, test: /e.csv, target: species, header: true, classes: 3, scale: 255}}",
        { kind: "csv", train: "/t.csv", test: "/e.csv", target: "species", header: true, classes: 3, scale: 255 },
      ],
      ["data: {csv: {train: /t.csv, target: 4}}", { kind: "csv", train: "/t.csv", target: 4 }],
      [
        "data: {csv: {train: /t.csv, target: y, classes: [no, yes], columns: {city: category, 3: ignore}, standardise: true}}",
        {
          kind: "csv",
          train: "/t.csv",
          target: "y",
          classes: ["no", "yes"],
          columns: { city: "category", 3: "ignore" },
          standardise: true,
        },
      ],
      ["data: {jsonLines: {train: /t.jsonl, target: y}}", { kind: "jsonLines", train: "/t.jsonl", target: "y" }],
      [
        "data: {npy: {features: /x.npy, targets: /y.npy, testFeatures: /u.npy, testTargets: /v.npy, classes: 3}}",
        {
          kind: "npy",
          features: "/x.npy",
          targets: "/y.npy",
          testFeatures: "/u.npy",
          testTargets: "/v.npy",
          classes: 3,
        },
      ],
      ["data: {npz: /all.npz}", { kind: "npz", path: "/all.npz" }],
      [
        "data: {npz: {path: /all.npz, features: a, targets: b, testFeatures: c, testTargets: d, classes: 4}}",
        { kind: "npz", path: "/all.npz", features: "a", targets: "b", testFeatures: "c", testTargets: "d", classes: 4 },
      ],
      [
        "data: {images: {train: /a, test: /b, channels: 3, classes: 5}}",
        { kind: "images", train: "/a", test: "/b", channels: 3, classes: 5 },
      ],
      [
        "data: {text: {train: /a.txt, test: /b.txt, length: 64, predict: each, vocabulary: 1000}}",
        { kind: "text", train: "/a.txt", test: "/b.txt", length: 64, predict: "each", vocabulary: 1000 },
      ],
      [
        "data: {safetensors: {train: /a.safetensors, test: /b.safetensors, classes: 2}}",
        { kind: "safetensors", train: "/a.safetensors", test: "/b.safetensors", classes: 2 },
      ],
      ["data: {cifar: {path: /c, classes: 100}}", { kind: "cifar", path: "/c", classes: 100 }],
    ],
    refused: [
      [
        "data: mnits",
        `config.yaml:1: data: found "mnits", expected one of mnist, idx, csv, jsonLines, npy, npz, images, text, safetensors, cifar; did you mean mnist?`,
      ],
      [
        "data: {idx: 3}",
        "config.yaml:1: data.idx: found 3, expected the path of a folder with the four MNIST-named IDX files",
      ],
      ["data: {csv: {target: 0}}", "config.yaml:1: data.csv.train: missing, expected the path of a CSV file"],
      ["data: {csv: {train: a, target: -1}}", "data.csv.target: found -1, expected a whole number of at least 0"],
      ["data: {csv: {train: a, target: 0, test: ''}}", `data.csv.test: found "", expected the path of a CSV file`],
      [
        "data: {csv: {train: a, target: 0, columns: {b: text}}}",
        `data.csv.columns.b: found "text", expected one of number, standard, category, ignore`,
      ],
      [
        "data: {csv: {train: a, target: 0, classes: [one]}}",
        'data.csv.classes: found ["one"], expected a number of classes, 2 at least, or a list of their names, 2 to 10,000',
      ],
      [
        "data: {csv: {train: a, target: 0, classes: [one, two, one]}}",
        'data.csv.classes: found ["one","two","one"], expected names that differ',
      ],
      ["data: {csv: {train: a, target: 0, standardise: 1}}", "data.csv.standardise: found 1, expected true or false"],
      ["data: {jsonLines: {train: a}}", "data.jsonLines.target: missing, expected the name of a column"],
      [
        'data: {csv: {train: a, target: "size\\n(cm)"}}',
        `data.csv.target: found "size\\n(cm)", expected the name of a column (one line, 1,000 characters at most), or its number`,
      ],
      [
        `data: {csv: {train: a, target: 0, classes: [a, ${"b".repeat(1001)}]}}`,
        "expected a class's name (one line, 1,000 characters at most)",
      ],
      ['data: {npz: {path: a, features: "a\\tb"}}', "data.npz.features: found"],
      ["data: {npy: {features: a}}", "data.npy.targets: missing, expected the path of a .npy file"],
      ["data: {npz: 3}", "data.npz: found 3, expected the path of a .npz file"],
      ["data: {images: {train: a, channels: 2}}", "data.images.channels: found 2, expected 1 for grey, 3 for colour"],
      ["data: {text: {train: a}}", `data.text.length: missing, ${whole(1)}`],
      ["data: {text: {train: a, length: 2, vocabulary: 256}}", "data.text.vocabulary: found 256"],
      ["data: {text: {train: a, length: 2, predict: all}}", "expected one of next, each"],
      ["data: {safetensors: {classes: 2}}", "data.safetensors.train: missing, expected the path of a safetensors file"],
      ["data: {cifar: {path: a, classes: 20}}", "data.cifar.classes: found 20, expected 10 or 100"],
      ["data: {csv: {train: a, target: 0, header: 1}}", "data.csv.header: found 1, expected true or false"],
      ["data: {csv: {train: a, target: 0, classes: 1}}", `data.csv.classes: found 1, ${whole(2)}`],
      ["data: {csv: {train: a, target: 0, scale: 0}}", "data.csv.scale: found 0, expected a number above 0"],
    ],
  },
  {
    key: "validation",
    value: ({ validation }) => validation,
    byDefault: 0,
    accepted: [["validation: 0.1", 0.1]],
    refused: [["validation: 1", "validation: found 1, expected a number from 0 up to, but not, 1"]],
  },
  {
    key: "augment",
    value: ({ augment }) => augment,
    byDefault: [],
    accepted: [
      [
        "augment: [{shift: 2}, flip, {crop: 0.8}, {rotate: 10}, {cutout: 6}]",
        [
          { kind: "shift", pixels: 2 },
          { kind: "flip" },
          { kind: "crop", least: 0.8 },
          { kind: "rotate", degrees: 10 },
          { kind: "cutout", size: 6 },
        ],
      ],
    ],
    refused: [
      ["augment: flip", `augment: found "flip", expected a list of augmentations`],
      ["augment: [{shift: 0}]", `augment[0].shift: found 0, ${whole(1)}`],
      ["augment: [{crop: 2}]", "augment[0].crop: found 2, expected a number above 0, 1 at most"],
      ["augment: [{rotate: 200}]", "augment[0].rotate: found 200, expected a number above 0, 180 at most"],
      ["augment: [{cutout: 0}]", `augment[0].cutout: found 0, ${whole(1)}`],
      ["augment: [flipp]", "did you mean flip?"],
    ],
  },
  {
    key: "dataMemory",
    value: ({ dataMemory }) => dataMemory,
    byDefault: 1024,
    accepted: [["dataMemory: 0", 0]],
    refused: [["dataMemory: -1", `dataMemory: found -1, ${whole(0)}`]],
  },
  {
    key: "model.layers",
    value: ({ model }) => model.layers,
    byDefault: classic,
    accepted: [
      [
        "model: {layers: [relu, dense: 10]}",
        [
          { kind: "activation", activation: "relu" },
          { kind: "dense", units: 10 },
        ],
      ],
      [
        "model: {layers: [dense: {units: 5, activation: geluTanh, bias: false, initialiser: he}, dropout: 0.2, dense: 10, softmax]}",
        [
          { kind: "dense", units: 5, activation: "geluTanh", bias: false, initialiser: "he" },
          { kind: "dropout", rate: 0.2 },
          { kind: "dense", units: 10 },
          { kind: "softmax" },
        ],
      ],
      [
        "model: {layers: [reshape: [2, 14, 28], conv2d: {filters: 4, kernel: [3, 5], stride: 2, padding: [1, 0], dilation: 1, groups: 2}, maxPool: 2, averagePool: {size: [2, 1], stride: 1, padding: 1}, globalAveragePool, flatten, dense: 10]}",
        [
          { kind: "reshape", shape: [2, 14, 28] },
          { kind: "conv2d", filters: 4, kernel: [3, 5], stride: 2, padding: [1, 0], dilation: 1, groups: 2 },
          { kind: "maxPool", size: 2 },
          { kind: "averagePool", size: [2, 1], stride: 1, padding: 1 },
          { kind: "globalAveragePool" },
          { kind: "flatten" },
          { kind: "dense", units: 10 },
        ],
      ],
      ...["leakyRelu", "elu", "sigmoid", "tanh", "silu", "softplus", "gelu"].map(
        (activation) =>
          [
            `model: {layers: [dense: 10, ${activation}]}`,
            [
              { kind: "dense", units: 10 },
              { kind: "activation", activation },
            ],
          ] as const,
      ),
    ],
    refused: [
      [
        "model:\n  layers:\n    - dense: 5\n    - rleu",
        `config.yaml:4: model.layers[1]: found "rleu", expected one of dense, linear,`,
      ],
      ["model:\n  layers:\n    - dense: 0", `config.yaml:3: model.layers[0].dense: found 0, ${whole(1)}`],
      [
        "model:\n  layers:\n    - dense:\n        unit: 5",
        "config.yaml:4: model.layers[0].dense.unit: unknown key; did you mean units?",
      ],
      ["model:\n  layers:\n    - dense: 5\n      activation: relu", "its options go below it, one level in"],
      [
        "model: {layers: [dense: {units: 5, activation: tahn}]}",
        `model.layers[0].dense.activation: found "tahn", expected one of relu,`,
      ],
      ["model: {layers: [dense: {units: 5, bias: 2}]}", "model.layers[0].dense.bias: found 2, expected true or false"],
      [
        "model: {layers: [dense: {units: 5, initialiser: xaver}]}",
        "expected one of xavier, glorotUniform, he, normal, ones, zeros; did you mean xavier?",
      ],
      [
        "model: {layers: [conv2d: {filters: 4, kernel: [3]}]}",
        "model.layers[0].conv2d.kernel: found [3], expected a whole number of at least 1, or two: [height, width]",
      ],
      [
        "model: {layers: [conv2d: {filters: 4, kernel: 3, padding: valid}]}",
        'padding: found "valid", expected a whole number of at least 0, two of them, or same',
      ],
      ["model: {layers: [dropout: 1]}", "model.layers[0].dropout: found 1, expected a number from 0 up to, but not, 1"],
      ["model: {layers: [relu: 3]}", "model.layers[0].relu: found 3, expected no options: relu stands alone"],
      ["model: {layers: []}", "model.layers: found [], expected a list of at least one layer"],
      ["model: {layers: [relu]}", "model.layers: no layer with parameters: there is nothing to train"],
      [
        "model:\n  layers:\n    - softmax\n    - dense: 10",
        "config.yaml:3: model.layers[0]: softmax can only be the last layer, under the loss crossEntropy",
      ],
    ],
  },
  {
    key: "model.inputWidth",
    value: ({ model }) => model.inputWidth,
    byDefault: undefined,
    accepted: [["model: {inputWidth: 784}", 784]],
    refused: [["model: {inputWidth: 0}", `model.inputWidth: found 0, ${whole(1)}`]],
  },
  {
    key: "model.loss",
    value: ({ model }) => model.loss,
    byDefault: { kind: "crossEntropy" },
    accepted: [
      ["model: {loss: crossEntropy}", { kind: "crossEntropy" }],
      ["model: {loss: {crossEntropy: {labelSmoothing: 0.1}}}", { kind: "crossEntropy", labelSmoothing: 0.1 }],
      ["model: {loss: {crossEntropy: {classWeights: balanced}}}", { kind: "crossEntropy", classWeights: "balanced" }],
      ["model: {loss: {crossEntropy: {classWeights: [1, 2.5]}}}", { kind: "crossEntropy", classWeights: [1, 2.5] }],
      ["data: {csv: {train: a.csv, target: 0}}\nmodel: {loss: binaryCrossEntropy}", { kind: "binaryCrossEntropy" }],
      ["data: {csv: {train: a.csv, target: 0}}", { kind: "meanSquaredError" }],
    ],
    refused: [
      [
        "model: {loss: {crossEntropy: {labelSmoothing: 1}}}",
        "model.loss.crossEntropy.labelSmoothing: found 1, expected a number from 0 up to, but not, 1",
      ],
      [
        "model: {loss: {crossEntropy: {classWeights: even}}}",
        `model.loss.crossEntropy.classWeights: found "even", expected balanced, or a list of one weight for each class`,
      ],
      ["model: {loss: crossentropi}", "did you mean crossEntropy?"],
      ["model:\n  loss: meanSquaredError", "config.yaml:2: model.loss: meanSquaredError needs real values as targets"],
      [
        "data: {csv: {train: a.csv, target: 0}}\nmodel: {loss: crossEntropy}",
        "config.yaml:2: model.loss: crossEntropy needs class labels: give their number as data.csv.classes",
      ],
    ],
  },
  {
    key: "optimizer",
    value: ({ optimizer }) => optimizer,
    byDefault: { kind: "sgd", learningRate: 0.05, momentum: 0.9, weightDecay: 0.0002 },
    accepted: [
      ["optimizer: sgd", { kind: "sgd", learningRate: 0.1 }],
      [
        "optimizer: {sgd: {learningRate: 0.2, momentum: 0.5, nesterov: true, weightDecay: 0.01, clipNorm: 1}}",
        { kind: "sgd", learningRate: 0.2, momentum: 0.5, nesterov: true, weightDecay: 0.01, clipNorm: 1 },
      ],
      ["optimizer: adam", { kind: "adam", learningRate: 0.001 }],
      [
        "optimizer: {adamw: {learningRate: 0.01, beta1: 0.8, beta2: 0.99, epsilon: 1e-6, weightDecay: 0}}",
        { kind: "adamw", learningRate: 0.01, beta1: 0.8, beta2: 0.99, epsilon: 1e-6, weightDecay: 0 },
      ],
      [
        "optimizer: {rmsprop: {alpha: 0.9, epsilon: 1e-7, momentum: 0.1}}",
        { kind: "rmsprop", learningRate: 0.01, alpha: 0.9, epsilon: 1e-7, momentum: 0.1 },
      ],
      ["optimizer: {lamb: {beta1: 0.8}}", { kind: "lamb", learningRate: 0.001, beta1: 0.8 }],
      ["optimizer: {adagrad: {epsilon: 1e-9}}", { kind: "adagrad", learningRate: 0.01, epsilon: 1e-9 }],
    ],
    refused: [
      [
        "optimizer: {sgd: {learning_rate: 0.1}}",
        "config.yaml:1: optimizer.sgd.learning_rate: unknown key; did you mean learningRate?",
      ],
      ["optimizer: {sgd: {learningRate: 0}}", "optimizer.sgd.learningRate: found 0, expected a number above 0"],
      ["optimizer: {sgd: {learningRate: .nan}}", "optimizer.sgd.learningRate: found NaN, expected a number above 0"],
      [
        "optimizer: {sgd: {momentum: 1}}",
        "optimizer.sgd.momentum: found 1, expected a number from 0 up to, but not, 1",
      ],
      ["optimizer: {sgd: {nesterov: true}}", "optimizer.sgd.nesterov: needs a momentum above 0"],
      ["optimizer: {sgd: {weightDecay: -1}}", "optimizer.sgd.weightDecay: found -1, expected a number of at least 0"],
      ["optimizer: {sgd: {clipValue: -1}}", "optimizer.sgd.clipValue: found -1, expected a number above 0"],
      ["optimizer: {adam: {clipNorm: 1, clipValue: 1}}", "optimizer.adam.clipValue: clipNorm clips already"],
      ["optimizer: {sgd: {clipNorm: 0}}", "optimizer.sgd.clipNorm: found 0, expected a number above 0"],
      ["optimizer: {adam: {beta1: 1}}", "optimizer.adam.beta1: found 1, expected a number from 0"],
      ["optimizer: {adam: {beta2: -0.1}}", "optimizer.adam.beta2: found -0.1, expected a number from 0"],
      ["optimizer: {adam: {momentum: 0.9}}", "optimizer.adam.momentum: unknown key; known are learningRate,"],
      ["optimizer: {rmsprop: {alpha: 1}}", "optimizer.rmsprop.alpha: found 1"],
      ["optimizer: {adagrad: {epsilon: 0}}", "optimizer.adagrad.epsilon: found 0, expected a number above 0"],
      ["optimizer: adma", "did you mean adam?"],
    ],
  },
  {
    key: "schedule",
    value: ({ schedule }) => schedule,
    byDefault: { kind: "constant" },
    accepted: [
      ["schedule: {constant: {warmUp: 0.5, baseBatch: 32}}", { kind: "constant", warmUp: 0.5, baseBatch: 32 }],
      ["schedule: {step: 3}", { kind: "step", every: 3 }],
      ["schedule: {step: {every: 2.5, factor: 0.5}}", { kind: "step", every: 2.5, factor: 0.5 }],
      ["schedule: {exponential: 0.9}", { kind: "exponential", factor: 0.9 }],
      ["schedule: cosine\nepochs: 7", { kind: "cosine", epochs: 7 }],
      ["schedule: {cosine: {epochs: 30, final: 0.1}}\nepochs: 7", { kind: "cosine", epochs: 30, final: 0.1 }],
      ["schedule: {polynomial: {power: 2}}", { kind: "polynomial", power: 2, epochs: 20 }],
      ["schedule: {oneCycle: {rise: 0.2, start: 0.1}}", { kind: "oneCycle", rise: 0.2, start: 0.1, epochs: 20 }],
      [
        "schedule: {plateau: {factor: 0.5, patience: 0, threshold: 0, final: 0.01}}",
        { kind: "plateau", factor: 0.5, patience: 0, threshold: 0, final: 0.01 },
      ],
    ],
    refused: [
      ["schedule: cosin", "did you mean cosine?"],
      ["schedule: step", "schedule.every: missing, expected a number above 0"],
      ["schedule: {step: 0}", "schedule.step: found 0, expected a number above 0"],
      ["schedule: {exponential: 1.1}", "schedule.exponential: found 1.1, expected a number above 0, 1 at most"],
      ["schedule: {cosine: {final: 2}}", "schedule.cosine.final: found 2, expected a number from 0 to 1"],
      ["schedule: {cosine: {warmUp: -1}}", "schedule.cosine.warmUp: found -1"],
      ["schedule: {oneCycle: {warmUp: 1}}", "schedule.oneCycle.warmUp: the cycle warms up itself"],
      ["schedule: {plateau: {patience: -1}}", `schedule.plateau.patience: found -1, ${whole(0)}`],
      ["schedule: {constant: {baseBatch: 0}}", `schedule.constant.baseBatch: found 0, ${whole(1)}`],
    ],
  },
  {
    key: "groups",
    value: ({ groups }) => groups,
    byDefault: [],
    accepted: [
      [
        "groups: [{parameters: vectors, weightDecay: 0}, {parameters: [0.*, 2.bias], frozen: true, learningRateFactor: 0}]",
        [
          { parameters: "vectors", weightDecay: 0 },
          { parameters: ["0.*", "2.bias"], frozen: true, learningRateFactor: 0 },
        ],
      ],
    ],
    refused: [
      ["groups: vectors", `groups: found "vectors", expected a list of groups of parameters`],
      ["groups: [{weightDecay: 0}]", "groups[0].parameters: missing, expected a parameter's name or a list of them"],
      ["groups: [{parameters: []}]", "groups[0].parameters: found [], expected a parameter's name or a list of them"],
      ["groups: [{parameters: a, freeze: true}]", "groups[0].freeze: unknown key; known are parameters, weightDecay"],
      ["groups: [{parameters: a, weightDecay: -1}]", "groups[0].weightDecay: found -1"],
    ],
  },
  {
    key: "average",
    value: ({ average }) => average,
    byDefault: undefined,
    accepted: [["average: 0.999", 0.999]],
    refused: [["average: 1", "average: found 1, expected a number from 0 up to, but not, 1"]],
  },
  {
    key: "accumulate",
    value: ({ accumulate }) => accumulate,
    byDefault: 1,
    accepted: [["accumulate: 4", 4]],
    refused: [
      ["accumulate: 0", "accumulate: found 0, expected a whole number from 1 to 65536"],
      ["accumulate: 10000", "accumulate: 10000 × 8 shards are more than 65536"],
    ],
  },
  {
    key: "metrics",
    value: ({ metrics }) => metrics,
    byDefault: undefined,
    accepted: [
      [
        "metrics: [{topK: 5}, confusion, perplexity]",
        [{ kind: "topK", k: 5 }, { kind: "confusion" }, { kind: "perplexity" }],
      ],
      [
        "metrics: [meanAbsoluteError, rootMeanSquaredError]",
        [{ kind: "meanAbsoluteError" }, { kind: "rootMeanSquaredError" }],
      ],
    ],
    refused: [
      ["metrics: confusion", `metrics: found "confusion", expected a list of metrics`],
      ["metrics: [{topK: 0}]", `metrics[0].topK: found 0, ${whole(1)}`],
      ["metrics: [confussion]", "did you mean confusion?"],
      [`metrics: [${"confusion, ".repeat(65)}]`, "expected 64 metrics at most"],
    ],
  },
  {
    key: "monitor",
    value: ({ monitor }) => monitor,
    byDefault: undefined,
    accepted: [["monitor: testAccuracy", "testAccuracy"]],
    refused: [["monitor: testLos", "expected one of testLoss, testAccuracy, loss, accuracy; did you mean testLoss?"]],
  },
  {
    key: "stopEarly",
    value: ({ stopEarly }) => stopEarly,
    byDefault: undefined,
    accepted: [["stopEarly: {patience: 3, threshold: 0.01}", { patience: 3, threshold: 0.01 }]],
    refused: [
      ["stopEarly: 3", "stopEarly: found 3, expected a map of options (patience, threshold)"],
      ["stopEarly: {patience: 0}", `stopEarly.patience: found 0, ${whole(1)}`],
    ],
  },
  {
    key: "batch",
    value: ({ batch }) => batch,
    byDefault: 128,
    accepted: [["batch: 1", 1]],
    refused: [
      ["batch: 0", whole(1)],
      ["batch: many", `config.yaml:1: batch: found "many", ${whole(1)}`],
    ],
  },
  {
    key: "shards",
    value: ({ shards }) => shards,
    byDefault: 8,
    accepted: [["shards: 65536", 65536]],
    refused: [
      ["shards: 0", "shards: found 0, expected a whole number from 1 to 65536"],
      ["shards: 65537", "found 65537"],
    ],
  },
  {
    key: "epochs",
    value: ({ epochs }) => epochs,
    byDefault: 20,
    accepted: [["epochs: 3", 3]],
    refused: [["epochs: 0", `epochs: found 0, ${whole(1)}`]],
  },
  {
    key: "workers",
    value: ({ workers }) => workers,
    byDefault: 2,
    accepted: [["workers: 1", 1]],
    refused: [["workers: 0", "workers: found 0, expected a whole number from 1 to 1024"]],
  },
  {
    key: "minWorkers",
    value: ({ minWorkers }) => minWorkers,
    byDefault: 1,
    accepted: [["minWorkers: 3", 3]],
    refused: [["minWorkers: 0", "minWorkers: found 0, expected a whole number from 1 to 1024"]],
  },
  {
    key: "threads",
    value: ({ threads }) => threads,
    byDefault: 1,
    accepted: [["threads: 4", 4]],
    refused: [["threads: 0", "threads: found 0, expected a whole number from 1 to 1024"]],
  },
  {
    key: "evaluateEvery",
    value: ({ evaluateEvery }) => evaluateEvery,
    byDefault: 1,
    accepted: [["evaluateEvery: 0", 0]],
    refused: [["evaluateEvery: -1", `evaluateEvery: found -1, ${whole(0)}`]],
  },
  {
    key: "checkpoint",
    value: ({ checkpoint }) => checkpoint,
    byDefault: { everySteps: 0, everySeconds: 30, keep: 3, best: false },
    accepted: [
      [
        "checkpoint: {everySteps: 5, everySeconds: 0.5, keep: 1, best: true}",
        { everySteps: 5, everySeconds: 0.5, keep: 1, best: true },
      ],
      ["checkpoint: {keep: 9}", { everySteps: 0, everySeconds: 30, keep: 9, best: false }],
      ["stopEarly: {patience: 3}", { everySteps: 0, everySeconds: 30, keep: 3, best: true }],
      [
        "stopEarly: {patience: 3}\ncheckpoint: {best: false}",
        { everySteps: 0, everySeconds: 30, keep: 3, best: false },
      ],
    ],
    refused: [
      ["checkpoint: {everySteps: -1}", `checkpoint.everySteps: found -1, ${whole(0)}`],
      ["checkpoint: {everySeconds: -1}", "checkpoint.everySeconds: found -1, expected a number of at least 0"],
      ["checkpoint: {keep: 0}", `checkpoint.keep: found 0, ${whole(1)}`],
      ["checkpoint: 5", "checkpoint: found 5, expected a map of options (everySteps, everySeconds, keep, best)"],
    ],
  },
  {
    key: "audit",
    value: ({ audit }) => audit,
    byDefault: 0,
    accepted: [
      ["audit: 0.02", 0.02],
      ["audit: 1", 1],
    ],
    refused: [["audit: 2", "audit: found 2, expected a number from 0 to 1"]],
  },
  {
    key: "exact",
    value: ({ exact }) => exact,
    byDefault: true,
    accepted: [
      ["exact: off", false],
      ["exact: on", true],
      ["exact: false", false],
    ],
    refused: [["exact: of", `exact: found "of", expected on or off`]],
  },
  {
    key: "sharedMemory",
    value: ({ sharedMemory }) => sharedMemory,
    byDefault: true,
    accepted: [["sharedMemory: off", false]],
    refused: [["sharedMemory: 3", "sharedMemory: found 3, expected on or off"]],
  },
  {
    key: "tensorboard",
    value: ({ tensorboard }) => tensorboard,
    byDefault: false,
    accepted: [["tensorboard: on", true]],
    refused: [["tensorboard: yes please", `tensorboard: found "yes please", expected on or off`]],
  },
  {
    key: "host",
    value: ({ host }) => host,
    byDefault: "127.0.0.1",
    accepted: [
      ["host: localhost", "localhost"],
      ["host: 127.1.2.3", "127.1.2.3"],
      ["host: ::1", "::1"],
    ],
    refused: [
      ["host: 0.0.0.0", "config.yaml:1: host: 0.0.0.0 can be reached from other machines"],
      ["host: 127.evil.example", "can be reached from other machines"],
      ["host: 5", "host: found 5"],
    ],
  },
  {
    key: "insecure",
    value: ({ host }) => host,
    byDefault: "127.0.0.1",
    accepted: [
      ["host: 0.0.0.0\ninsecure: true", "0.0.0.0"],
      ["host: 0.0.0.0\ntokenFile: join.token", "0.0.0.0"],
    ],
    refused: [["insecure: 1", "insecure: found 1, expected true or false"]],
  },
  {
    key: "tokenFile",
    value: ({ tokenFile }) => tokenFile,
    byDefault: undefined,
    accepted: [["tokenFile: /secret/join.token", "/secret/join.token"]],
    refused: [
      ["tokenFile: 5", "tokenFile: found 5, expected the path of a file"],
      ["token: secret", "token: unknown key"],
    ],
  },
  {
    key: "tls",
    value: ({ tls }) => tls,
    byDefault: undefined,
    accepted: [
      ["tls: {cert: /a.pem, key: /a.key}", { cert: "/a.pem", key: "/a.key" }],
      ["tls: {cert: /a.pem, key: /a.key, ca: /ca.pem}", { cert: "/a.pem", key: "/a.key", ca: "/ca.pem" }],
    ],
    refused: [
      ["tls: {cert: /a.pem}", "tls.key: missing, expected the path of a file"],
      ["tls: {key: /a.key}", "tls.cert: missing, expected the path of a file"],
      ["tls: {cert: /a.pem, key: /a.key, ca: 1}", "tls.ca: found 1, expected the path of a file"],
      ["tls: on", `tls: found "on", expected a map of options (cert, key, ca)`],
    ],
  },
  {
    key: "maxConnections",
    value: ({ maxConnections }) => maxConnections,
    byDefault: 1024,
    accepted: [["maxConnections: 3", 3]],
    refused: [["maxConnections: 0", "maxConnections: found 0, expected a whole number from 1 to 65535"]],
  },
  {
    key: "port",
    value: ({ port }) => port,
    byDefault: 0,
    accepted: [["port: 65535", 65535]],
    refused: [["port: 65536", "port: found 65536, expected a whole number from 0 to 65535"]],
  },
];

describe.each(options)("$key", ({ value, byDefault, accepted, refused }) => {
  it("has its default", () => {
    expect(value(configOf(""))).toEqual(byDefault);
  });

  it.each(accepted)("accepts %s", (yaml, resolved) => {
    expect(value(configOf(yaml))).toEqual(resolved);
  });

  it.each(refused)("refuses %s", (yaml, message) => {
    const error = configRefusal(() => configOf(yaml));
    expect(error.message).toContain(message);
    expect(error.code).toBe(message.includes("reached") ? "BIND_REFUSED" : "CONFIG_INVALID");
    expect(error.hint).not.toBe("");
  });
});

it("has no option without a case above", () => {
  const config = configOf("");
  const keys = Object.keys(configSchema.shape).flatMap((key) =>
    key === "model" ? Object.keys(config.model).map((inner) => `model.${inner}`) : [key],
  );
  expect(options.map(({ key }) => key)).toEqual(expect.arrayContaining(keys.filter((key) => key !== "runs")));
});
