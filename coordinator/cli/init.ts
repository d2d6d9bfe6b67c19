/** `lockstep init`: writes a config that explains every option and holds the defaults. Never overwrites a file. */
import { commandLine } from "./command.ts";
import { writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Command } from "commander";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";
import { makeFolders } from "../../shared/folders.ts";
import { quoted } from "./format.ts";

const examples = `
Examples:
  lockstep init                                    writes lockstep.yaml
  lockstep init experiments/wide.yaml

Then: lockstep train lockstep.yaml`;

export const template = `# Lockstep: a training run. Every line may be left out: what stands here are the defaults.
# Train with it: lockstep train FILE        Flags win over it: lockstep train FILE --epochs 3

# The run's name and folder; without it, a fresh one after the data: mnist-1, mnist-2, …
# name: first-try
# Folder of run folders, seen from where lockstep is started.
runs: runs

# Paths of data are seen from this file.
data: mnist
# data: {idx: ./digits}                    # a folder with the four MNIST-named files, plain or .gz; or {path, classes}
# data: {cifar: ./cifar-10}                # a folder with CIFAR's binary files; or {path, classes: 100}
# data: {images: {train: ./photos, test: ./more, channels: 3}}    # PNG files in a folder for each class; 1: in grey
# A text's tokens and what follows them, or follows at each position; bytes, or as many learned pieces as vocabulary says.
# data: {text: {train: book.txt, test: more.txt, length: 64, predict: next, vocabulary: 1000}}
# data: {text: {train: book.txt, length: 64, predict: each}}
# NumPy's arrays; of an archive x_train, y_train, x_test and y_test, or those that are named. The tensors features and targets.
# data: {npz: {path: data.npz, classes: 10}}
# data: {npz: {path: data.npz, features: x, targets: y, testFeatures: x2, testTargets: y2, classes: 10}}
# data: {npy: {features: x.npy, targets: y.npy, testFeatures: x2.npy, testTargets: y2.npy, classes: 3}}
# data: {safetensors: {train: train.safetensors, test: test.safetensors, classes: 3}}
# data: {jsonLines: {train: train.jsonl, target: species, classes: [oak, ash]}}    # an object a line; the rest as with csv
# data:
#   csv:
#     train: train.csv
#     test: test.csv                       # may be left out
#     target: species                      # a column's name, or its number counted from 0
#     classes: 3                           # targets are labels 0..2; without it they are real values
#     scale: 1                             # features are divided by this, such as 255 for pixels
#     header: true                         # found out if left out
#     columns: {city: category, id: ignore, age: standard}    # the others are of type number
#     standardise: true                    # the others are standard: minus their mean, over their standard deviation
# validation: 0.1                          # this share of the training samples is held out, and tested on in place of the test data
# Images change from epoch to epoch, the same way on every worker: by so many pixels or degrees, to this share at
# least, without a square of this size.
# augment: [{shift: 2}, {rotate: 8}, {crop: 0.9}, flip, {cutout: 5}]
# dataMemory: 1024                         # MiB of features held in memory; files with more are read as they are needed

model:
  layers:
    # dense: {units, activation, bias, initialiser: xavier | glorotUniform | he | zeros}
    - dense: {units: 64, activation: relu}
    # - dropout: 0.2
    - dense: 10
    # Images: conv2d: {filters, kernel, stride, padding, dilation, groups, activation, bias, initialiser}, where sizes are
    # a number or [height, width], and padding may be same; maxPool: 2 or {size, stride, padding}; averagePool alike;
    # globalAveragePool; flatten; reshape: [channels, height, width]
    # - conv2d: {filters: 32, kernel: 3, activation: relu}
    # - maxPool: 2
    # Sequences: embedding: {vocabulary, width, initialiser}; positionEmbedding: {initialiser}; selfAttention: {heads, causal, bias,
    # initialiser}; linear, which is dense on the last axis; layerNorm: {epsilon}, rmsNorm: {epsilon}, groupNorm: {groups, epsilon};
    # residual: [layers], which adds what they give to what they were given
    # - embedding: {vocabulary: 256, width: 64}
    # - positionEmbedding
    # - residual: [layerNorm, {selfAttention: {heads: 4, causal: true}}]
    # - residual: [rmsNorm, {linear: {units: 256, activation: gelu}}, {linear: 64}]
    # - groupNorm: 4
    # A model of other software, as far as the tensor that output names; prefix stands in front of its parameters' names.
    # - onnx: {file: backbone.onnx, output: pooled, prefix: backbone.}
    # on their own line: relu, leakyRelu, elu, sigmoid, tanh, silu, softplus, gelu, geluTanh;
    # softmax may close the list under crossEntropy, which applies it anyway
  # crossEntropy for class labels; binaryCrossEntropy or meanSquaredError for real values
  loss: crossEntropy
  # loss: {crossEntropy: {labelSmoothing: 0.1, classWeights: balanced}}    # or a list of weights
  # Where training starts from; partial: what is not in the file, or of another shape, starts anew.
  # weights: {file: before.safetensors, rename: {encoder.: backbone.}, partial: true}

# sgd, adam, adamw, lamb, rmsprop or adagrad. All take learningRate, weightDecay and clipNorm or clipValue; sgd: momentum, nesterov;
# adam, adamw, lamb: beta1, beta2, epsilon; rmsprop: alpha, epsilon, momentum; adagrad: epsilon
optimizer:
  sgd: {learningRate: 0.05, momentum: 0.9, weightDecay: 0.0002}

# constant; {step: {every: 10, factor: 0.1}}, every in epochs; {exponential: {factor: 0.9}}, an epoch; {cosine: {final: 0.01}};
# {polynomial: {power: 1, final: 0}}; {oneCycle: {rise: 0.3, start: 0.04, final: 0.000004}};
# {plateau: {factor: 0.1, patience: 10, threshold: 0.0001, final: 0}}, which watches monitor. final is a share of the learning rate.
# All but oneCycle take warmUp: 1, in epochs; all take baseBatch: 128: the rate then grows with the batch from there.
schedule: constant

# Parameters that are trained in another way, by name with *, or vectors: biases and the weights of normalisations.
groups: []
#  - {parameters: vectors, weightDecay: 0}
#  - {parameters: "0.*", frozen: true}    # or learningRateFactor: 0.1

# The model in the end is a moving average of the parameters, which keeps this share of itself at every step. Epochs are evaluated
# without it.
# average: 0.999

# These decide the result, to the last bit, together with model, optimizer and data:
seed: 1
batch: 128                                 # samples in a minibatch, over all workers
shards: 8                                  # parts a minibatch is cut into; as many workers can share it
accumulate: 1                              # minibatches whose gradients are added up for one step
epochs: 20
# What steers the run: testLoss, testAccuracy, loss or accuracy. Without it testLoss, or without test data loss.
# monitor: testLoss
# stopEarly: {patience: 5, threshold: 0}   # epochs without an improvement by that share

# These do not change the result:
workers: 2                                 # local worker processes of \`lockstep train\`
minWorkers: 1                              # training waits until as many are there
threads: 1                                 # compute threads of each local worker
evaluateEvery: 1                           # epochs between evaluations on the test data; 0: only at the end
# What evaluations measure besides the loss and the accuracy; for real values both errors unless something is given.
# metrics: [{topK: 5}, confusion, perplexity]          # for labels; for real values meanAbsoluteError, rootMeanSquaredError
# best: the best by monitor is kept too and is the model in the end; with stopEarly that is so unless it says false.
checkpoint: {everySteps: 0, everySeconds: 30, keep: 3, best: false}   # 0: not by steps, or not by time

# off admits workers whose processor rounds differently, and marks the run inexact.
exact: on
# The share of the gradients that a second worker computes too, before they are used; who sends wrong ones is quarantined.
audit: 0
# off sends everything over sockets, also to workers of this host.
sharedMemory: on
# on also writes the curves as event files into the run folder: tensorboard --logdir runs
tensorboard: off
# Other addresses than loopback need a join token, or insecure: true, as anyone could join.
host: 127.0.0.1
port: 0                                    # 0: any free one
# The token itself never stands here, as this file is copied into the run folder: it is in a file of its own or in the
# variable LOCKSTEP_TOKEN. Make one: node -p "crypto.randomBytes(24).toString('base64url')" > join.token
# tokenFile: join.token
# With TLS, workers connect to wss://; with ca, only those that have a certificate of it.
# tls: {cert: server.pem, key: server.key, ca: clients.pem}
maxConnections: 1024
insecure: false
`;

export function addInit(program: Command): void {
  program
    .command("init")
    .description("write a commented config file")
    .argument("[file]", "file to write", "lockstep.yaml")
    .addHelpText("after", examples)
    .action(async (file: string) => {
      await writeNew(file, template);
      process.stdout.write(`wrote ${file}; train with it: ${commandLine(`train ${quoted(file)}`)}\n`);
    });
}

async function writeNew(file: string, content: string): Promise<void> {
  try {
    await makeFolders(dirname(file));
    await writeFile(file, content, { flag: "wx" });
  } catch (cause) {
    if (errnoOf(cause) === "EEXIST")
      throw new LockstepError(
        "CONFIG_INVALID",
        `${file} exists, and is left as it is`,
        "Name another file, as in `lockstep init other.yaml`.",
        { cause },
      );
    throw new LockstepError(
      "DISK_FAILED",
      `cannot write ${file}: ${errnoOf(cause) ?? String(cause)}`,
      "Name a file in a folder that you may write to.",
      { cause },
    );
  }
}
