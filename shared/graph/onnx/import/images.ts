/** Convolutions and pools. Signals of one dimension are images of height 1. */
import { product } from "../../../shape.ts";
import type { Tensor } from "../../operation.ts";
import { add, divide, multiply, offset, scale } from "../../operations/arithmetic.ts";
import { pad, slice } from "../../operations/arrange.ts";
import { averagePool } from "../../operations/average-pool.ts";
import { reshape } from "../../operations/broadcast.ts";
import { conv2d, conv2dInputGradient } from "../../operations/convolution.ts";
import { power } from "../../operations/elementwise.ts";
import { maxPool } from "../../operations/max-pool.ts";
import { largest, mean } from "../../operations/reduce.ts";
import { constantOperation } from "../../operations/source.ts";
import { eachTap } from "../../operations/window.ts";
import type { Dim } from "../../values.ts";
import { DAMAGED, type NodeContext, type Rules, shapeOf } from "./context.ts";
import { ofTensor } from "./value.ts";

/** A list with one entry for height and one for width, of an attribute that may have only the latter. */
const both = (values: readonly number[], first: number): number[] =>
  values.length === 1 ? [first, ...values] : [...values];

interface Windowed {
  readonly kernel: number[];
  readonly stride: number[];
  readonly dilation: number[];
  /** [top, left, bottom, right] */
  readonly padding: number[];
}

function windowOf(node: NodeContext, kernel: readonly number[], size: readonly number[]): Windowed {
  const rank = kernel.length;
  const ones = Array<number>(rank).fill(1);
  const stride = node.list("strides") ?? ones;
  const dilation = node.list("dilations") ?? ones;
  const pads = paddingOf(node, kernel, stride, dilation, size);
  return {
    kernel: both(kernel, 1),
    stride: both(stride, 1),
    dilation: both(dilation, 1),
    padding: rank === 1 ? [0, pads[0]!, 0, pads[1]!] : [...pads],
  };
}

function paddingOf(
  node: NodeContext,
  kernel: readonly number[],
  stride: readonly number[],
  dilation: readonly number[],
  size: readonly number[],
): readonly number[] {
  const auto = node.text("auto_pad", "NOTSET");
  const none = Array<number>(2 * kernel.length).fill(0);
  if (auto === "NOTSET") return node.list("pads") ?? none;
  if (auto === "VALID") return none;
  const totals = kernel.map((taps, axis) => {
    const steps = Math.ceil(size[axis]! / stride[axis]!);
    return Math.max(0, (steps - 1) * stride[axis]! + dilation[axis]! * (taps - 1) + 1 - size[axis]!);
  });
  const smaller = totals.map((total) => Math.floor(total / 2));
  const larger = totals.map((total) => Math.ceil(total / 2));
  return auto === "SAME_LOWER" ? [...larger, ...smaller] : [...smaller, ...larger];
}

/** Applies a function of images to images, or to signals [n, channels, length] as such. */
function ofImages(node: NodeContext, x: Tensor, apply: (images: Tensor) => Tensor): Tensor {
  if (x.shape.length === 4) return apply(x);
  if (x.shape.length !== 3)
    return node.refuse(
      `its input is ${shapeOf(x)}`,
      "Images have two dimensions, signals one: take an output before it.",
    );
  const [samples, channels, length] = x.shape as [Dim, Dim, Dim];
  const y = apply(reshape(x, [samples, channels, 1, length]));
  return reshape(y, [y.shape[0]!, y.shape[1]!, y.shape[3]!]);
}

const sizesOf = (x: Tensor): number[] => x.shape.slice(2) as number[];

/** Weights of signals as weights of images of height 1. */
function imageWeights(weight: Tensor): Tensor {
  if (weight.shape.length !== 3) return weight;
  const [out, own, taps] = weight.shape as [Dim, Dim, Dim];
  return reshape(weight, [out, own, 1, taps]);
}

function convolution(node: NodeContext): Tensor {
  const [x, weight] = [node.tensor(0), node.tensor(1)];
  const window = windowOf(node, sizesOf(weight), sizesOf(x));
  const bias = node.has(2) ? node.tensor(2) : undefined;
  const groups = node.number("group", 1);
  return ofImages(node, x, (images) => conv2d(images, imageWeights(weight), bias, { ...window, groups }));
}

/** Transposed convolution is what a convolution's derivative does to a gradient. */
function transposedConvolution(node: NodeContext): Tensor {
  const [x, weight] = [node.tensor(0), node.tensor(1)];
  node.without(
    "auto_pad",
    node.text("auto_pad", "NOTSET") !== "NOTSET",
    "Export it with pads that are given as numbers.",
  );
  node.without(
    "output_shape",
    node.list("output_shape") !== undefined,
    "Export it with pads and output_padding instead.",
  );
  const { kernel, ...window } = windowOf(node, sizesOf(weight), sizesOf(x));
  const more = both(node.list("output_padding") ?? kernel.map(() => 0), 0);
  const groups = node.number("group", 1);
  const y = ofImages(node, x, (images) => {
    const size = sizesOf(images).map((entries, axis) => {
      const extent = window.dilation[axis]! * (kernel[axis]! - 1) + 1;
      return (
        (entries - 1) * window.stride[axis]! + extent - window.padding[axis]! - window.padding[axis + 2]! + more[axis]!
      );
    });
    return conv2dInputGradient(images, imageWeights(weight), size, { ...window, groups });
  });
  return node.has(2) ? add(y, reshape(node.tensor(2), [y.shape[1]!, ...sizesOf(y).map(() => 1)])) : y;
}

/** What both pools read; a rounding up that changes nothing is no rounding up. */
function poolOf(node: NodeContext, x: Tensor): Windowed {
  const window = windowOf(
    node,
    node.list("kernel_shape") ?? node.refuse("it has no kernel_shape", DAMAGED),
    sizesOf(x),
  );
  const { kernel, stride, padding, dilation } = window;
  node.without(
    "dilations",
    dilation.some((step) => step !== 1),
    "Only windows without gaps are known: export the model with these, or take an output before it.",
  );
  const isRounded = both(sizesOf(x), 1).some(
    (size, axis) => (size + padding[axis]! + padding[axis + 2]! - kernel[axis]!) % stride[axis]! !== 0,
  );
  node.without(
    "ceil_mode",
    node.number("ceil_mode", 0) === 1 && isRounded,
    "Give padding below and to the right instead.",
  );
  return window;
}

function maximumPool(node: NodeContext): Tensor {
  if (node.outputs > 1)
    node.refuse(
      "its places are asked for too",
      "Only its maxima are given: take an output before it, or export the model without its unpooling.",
    );
  const x = node.tensor(0);
  const window = poolOf(node, x);
  return ofImages(node, x, (images) => maxPool(images, window));
}

function meanPool(node: NodeContext): Tensor {
  const x = node.tensor(0);
  const window = poolOf(node, x);
  const isCounted = node.number("count_include_pad", 0) === 1 || window.padding.every((around) => around === 0);
  return ofImages(node, x, (images) => {
    const means = averagePool(images, window);
    return isCounted ? means : divide(means, sharesInside(images, means, window));
  });
}

/** The share of each window that isn't padding. */
function sharesInside(images: Tensor, pooled: Tensor, window: Windowed): Tensor {
  const area = sizesOf(pooled);
  const values = Array<number>(product(area)).fill(0);
  const { kernel } = window;
  eachTap(sizesOf(images), area, kernel, window, (at) => void (values[at]! += 1 / product(kernel)));
  return images.apply(constantOperation, [], { shape: [1, 1, ...area], values: values.map(Math.fround) });
}

/** x / (k + α/size · Σ of squares in neighbouring channels)^β (Krizhevsky et al., 2012). */
function responseNormalised(node: NodeContext): Tensor {
  const x = node.tensor(0);
  const size = node.number("size", 5);
  const before = Math.floor((size - 1) / 2);
  const channels = x.shape[1] as number;
  const squares = pad(multiply(x, x), 1, before, size - 1 - before);
  const neighbours = Array.from({ length: size }, (_, shift) => slice(squares, 1, shift, shift + channels)).reduce(add);
  const level = offset(scale(neighbours, node.number("alpha", 1e-4) / size), node.number("bias", 1));
  return multiply(x, power(level, -node.number("beta", 0.75)));
}

/** Reduces each channel to one entry, its axes kept. */
function overall(x: Tensor, reduce: (x: Tensor, axes: readonly number[]) => Tensor): Tensor {
  const axes = [...x.shape.keys()].slice(2);
  return reshape(reduce(x, axes), [x.shape[0]!, x.shape[1]!, ...axes.map(() => 1)]);
}

export const imageRules: Rules = {
  Conv: (node) => ofTensor(convolution(node)),
  ConvTranspose: (node) => ofTensor(transposedConvolution(node)),
  MaxPool: (node) => ofTensor(maximumPool(node)),
  AveragePool: (node) => ofTensor(meanPool(node)),
  GlobalAveragePool: (node) => ofTensor(overall(node.tensor(0), mean)),
  GlobalMaxPool: (node) => ofTensor(overall(node.tensor(0), largest)),
  LRN: (node) => ofTensor(responseNormalised(node)),
};
