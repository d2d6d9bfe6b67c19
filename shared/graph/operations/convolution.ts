/**
 * Two-dimensional convolution (cross-correlation, as everywhere in the field) and its two derivatives. It is linear in
 * the images and in the weights, so the three operations are each other's derivatives. Images are [n, channels, height,
 * width], weights [out, in / groups, height, width].
 */
import { product } from "../../shape.ts";
import { defineOperation, type EmitContext, type NumericTensor, type Tensor } from "../operation.ts";
import { type Dim, rowsOf, sameShape, shapeMismatch, type TensorType } from "../values.ts";
import { sum } from "./broadcast.ts";
import { eachTap, isImages, leftOver, onnxWindow, type Window, windowedSizes, windowSchema } from "./window.ts";

export interface Convolution extends Window {
  readonly groups: number;
}
const schema = { ...windowSchema, groups: "integer" } as const;

/** The output's shape, or an error that names both shapes. */
function convolvedShape(
  x: TensorType | undefined,
  weight: TensorType | undefined,
  convolution: Convolution,
): readonly [Dim, number, number, number] {
  const given = [x, weight].filter((type) => type !== undefined);
  const { groups } = convolution;
  const wanted = `float32 images [n, in, height, width] and weights [out, in / ${groups}, height, width], out divisible by ${groups}`;
  const fits = isImages(x?.shape) && isImages(weight?.shape) && rowsOf(weight.shape) === undefined;
  if (!fits || x?.dtype !== "float32" || weight?.dtype !== "float32") throw shapeMismatch("conv2d", wanted, given);
  const [out, inputs, ...kernel] = weight.shape as readonly number[];
  if (x.shape[1] !== (inputs as number) * groups || (out as number) % groups !== 0) {
    throw shapeMismatch("conv2d", wanted, given);
  }
  const [height, width] = windowedSizes("conv2d", x.shape.slice(2) as number[], kernel, convolution);
  return [x.shape[0], out as number, height as number, width as number];
}

/** Visits every product of the convolution: its places in the images, in the weights and in the output. */
function eachProduct(
  images: readonly number[],
  weights: readonly number[],
  outputs: readonly number[],
  convolution: Convolution,
  visit: (imageAt: number, weightAt: number, outputAt: number) => void,
): void {
  const [out, own] = weights as [number, number];
  const [plane, patch, area] = [images, weights, outputs].map((shape) => product(shape.slice(2))) as [
    number,
    number,
    number,
  ];
  const outOfGroup = out / convolution.groups;
  for (let sample = 0; sample < (images[0] as number); sample++) {
    for (let filter = 0; filter < out; filter++) {
      const firstChannel = Math.floor(filter / outOfGroup) * own;
      for (let channel = 0; channel < own; channel++) {
        const imageStart = (sample * (images[1] as number) + firstChannel + channel) * plane;
        const weightStart = (filter * own + channel) * patch;
        const outputStart = (sample * out + filter) * area;
        eachTap(images.slice(2), outputs.slice(2), weights.slice(2), convolution, (outputAt, weightAt, imageAt) =>
          visit(imageStart + imageAt, weightStart + weightAt, outputStart + outputAt),
        );
      }
    }
  }
}

/** Fills `into` with sums of products that are added in doubles. */
function accumulate(into: NumericTensor, each: (add: (at: number, term: number) => void) => void): void {
  const totals = Float64Array.from(into.data);
  each((at, term) => void (totals[at] = (totals[at] as number) + term));
  into.data.set(totals);
}

const conv2dOperation = defineOperation({
  name: "conv2d",
  rows: "independent",
  attributes: schema,
  infer(inputs, attributes) {
    const [x, weight, bias] = inputs;
    const shape = convolvedShape(x, weight, attributes);
    const hasBias = bias?.dtype === "float32" && sameShape(bias.shape, [shape[1]]);
    if (inputs.length > 3 || (inputs.length === 3 && !hasBias)) {
      throw shapeMismatch("conv2d", `images, weights and bias [${shape[1]}]`, inputs);
    }
    return { shape, dtype: "float32" };
  },
  gradient({ inputs: [x, weight, bias], gradient, attributes }) {
    if (x === undefined || weight === undefined) return [];
    const [size, kernel] = [x, weight].map(({ shape }) => shape.slice(2) as number[]) as [number[], number[]];
    return [
      conv2dInputGradient(gradient, weight, size, attributes),
      conv2dWeightGradient(x, gradient, kernel, attributes),
      ...(bias === undefined ? [] : [sum(gradient, [0, 2, 3])]),
    ];
  },
  emit({ inputs, inputTypes, attributes, node, output }) {
    const kernel = (inputTypes[1] as TensorType).shape.slice(2) as number[];
    node("Conv", inputs, { ...onnxWindow(kernel, attributes), group: attributes.groups }, output);
  },
  evaluate([x, weight, bias], output, attributes) {
    if (x === undefined || weight === undefined) return;
    const area = product(output.shape.slice(2));
    const filters = output.shape[1] as number;
    output.data.forEach((_, at) => {
      output.data[at] = bias === undefined ? 0 : (bias.data[Math.floor(at / area) % filters] as number);
    });
    accumulate(output, (add) =>
      eachProduct(x.shape, weight.shape, output.shape, attributes, (imageAt, weightAt, outputAt) =>
        add(outputAt, (x.data[imageAt] as number) * (weight.data[weightAt] as number)),
      ),
    );
  },
});

const inputGradientOperation = defineOperation({
  name: "conv2dInputGradient",
  rows: "independent",
  attributes: { ...schema, size: "integers" },
  infer(inputs, { size, ...convolution }) {
    const [gradient, weight] = inputs;
    const channels = ((weight?.shape[1] ?? 0) as number) * convolution.groups;
    const shape = [gradient?.shape[0] as Dim, channels, ...size];
    if (
      inputs.length !== 2 ||
      gradient?.dtype !== "float32" ||
      !sameShape(convolvedShape({ shape, dtype: "float32" }, weight, convolution), gradient.shape)
    ) {
      throw shapeMismatch(`conv2dInputGradient of images of ${size.join("×")}`, "a gradient and weights", inputs);
    }
    return { shape, dtype: "float32" };
  },
  gradient({ inputs: [output, weight], gradient, attributes }) {
    if (output === undefined || weight === undefined) return [];
    const kernel = weight.shape.slice(2) as number[];
    return [
      conv2d(gradient, weight, undefined, attributes),
      conv2dWeightGradient(gradient, output, kernel, attributes),
    ];
  },
  emit({ inputs, inputTypes: [gradient, weight], attributes, node, output }) {
    const kernel = weight?.shape.slice(2) as number[];
    const area = gradient?.shape.slice(2) as number[];
    const window = {
      ...onnxWindow(kernel, attributes),
      output_padding: leftOver(attributes.size, area, kernel, attributes),
    };
    node("ConvTranspose", inputs, { ...window, group: attributes.groups }, output);
  },
  evaluate([gradient, weight], output, attributes) {
    if (gradient === undefined || weight === undefined) return;
    output.data.fill(0);
    accumulate(output, (add) =>
      eachProduct(output.shape, weight.shape, gradient.shape, attributes, (imageAt, weightAt, outputAt) =>
        add(imageAt, (gradient.data[outputAt] as number) * (weight.data[weightAt] as number)),
      ),
    );
  },
});

const weightGradientOperation = defineOperation({
  name: "conv2dWeightGradient",
  rows: "per-shard",
  attributes: { ...schema, kernel: "integers" },
  infer(inputs, { kernel, ...convolution }) {
    const [x, gradient] = inputs;
    const shape = [gradient?.shape[1] as number, ((x?.shape[1] ?? 0) as number) / convolution.groups, ...kernel];
    if (
      inputs.length !== 2 ||
      gradient?.dtype !== "float32" ||
      !sameShape(convolvedShape(x, { shape, dtype: "float32" }, convolution), gradient.shape)
    ) {
      throw shapeMismatch(`conv2dWeightGradient of a kernel of ${kernel.join("×")}`, "images and a gradient", inputs);
    }
    return { shape, dtype: "float32" };
  },
  gradient({ inputs: [x, output], gradient, attributes }) {
    if (x === undefined || output === undefined) return [];
    const size = x.shape.slice(2) as number[];
    return [conv2dInputGradient(output, gradient, size, attributes), conv2d(x, gradient, undefined, attributes)];
  },
  emit: emitWeightGradient,
  evaluate([x, gradient], output, attributes) {
    if (x === undefined || gradient === undefined) return;
    output.data.fill(0);
    accumulate(output, (add) =>
      eachProduct(x.shape, output.shape, gradient.shape, attributes, (imageAt, weightAt, outputAt) =>
        add(weightAt, (x.data[imageAt] as number) * (gradient.data[outputAt] as number)),
      ),
    );
  },
});

type WeightGradientContext = EmitContext<Convolution & { readonly kernel: readonly number[] }>;

/** Up to so many channels of a group, as grey and coloured images have, a product for each sample is the fastest. */
const FEW_CHANNELS = 4;
/** From so many on, a product for each tap of the kernel is faster than one for all. */
const MANY_CHANNELS = 9;

function emitWeightGradient(context: WeightGradientContext): void {
  const sizes = weightGradientSizes(context);
  // With more taps than filters, putting together what they see takes longer than the product.
  const hasFewTaps = product(context.attributes.kernel) <= sizes.made;
  if (sizes.own <= FEW_CHANNELS && hasFewTaps) emitProductForEachSample(context, sizes);
  else if (sizes.own < MANY_CHANNELS) emitOneProduct(context, sizes);
  else emitProductForEachTap(context, sizes);
}

interface WeightGradientSizes {
  readonly filters: number;
  /** Channels of a group, and filters of a group. */
  readonly own: number;
  readonly made: number;
  /** Height and width of the images, and of the gradient. */
  readonly size: readonly number[];
  readonly area: readonly number[];
}

function weightGradientSizes({ inputTypes, attributes: { groups } }: WeightGradientContext): WeightGradientSizes {
  const [[, channels, ...size], [, filters, ...area]] = inputTypes.map(({ shape }) => shape) as [number[], number[]];
  return {
    filters: filters as number,
    own: (channels as number) / groups,
    made: (filters as number) / groups,
    size,
    area,
  };
}

/** For each tap of the kernel, row by row, the places of the padded images that it sees, on these axes. */
function eachTapSeen(
  { attributes, node, constant }: WeightGradientContext,
  area: readonly number[],
  images: string,
  axes: readonly number[],
): string[] {
  const { stride, dilation, kernel } = attributes;
  return Array.from({ length: product(kernel) }, (_, tap) => {
    const place = [Math.floor(tap / (kernel[1] as number)), tap % (kernel[1] as number)];
    const start = place.map((at, axis) => at * (dilation[axis] as number));
    const end = start.map((from, axis) => from + ((area[axis] as number) - 1) * (stride[axis] as number) + 1);
    const ranges = [start, end, axes, stride].map((values) => constant("int64", [2], values));
    return node("Slice", [images, ...ranges]);
  });
}

/** The gradient as [groups, out / groups, n·height·width]. */
function gradientByFilter(
  { inputs, attributes: { groups }, node, constant }: WeightGradientContext,
  { made, area }: WeightGradientSizes,
): string {
  const planes = node("Reshape", [inputs[1] as string, constant("int64", [4], [-1, groups, made, product(area)])]);
  const byFilter = node("Transpose", [planes], { perm: [1, 2, 0, 3] });
  return node("Reshape", [byFilter, constant("int64", [3], [groups, made, -1])]);
}

/**
 * The gradient [out, n·height·width] by what a tap sees [n·height·width, in], for each tap: with the channels last, cutting
 * that out copies long rows, and nothing is put together before the products. On 16 images of 32×14×14 and 64 filters of 3×3
 * it takes 0.9 times the forward pass, one product for all taps took 1.6.
 */
function emitProductForEachTap(context: WeightGradientContext, sizes: WeightGradientSizes): void {
  const { inputs, attributes, node, constant, output } = context;
  const { padding, groups, kernel } = attributes;
  const { filters, own, size, area } = sizes;
  const integers = (...values: number[]): string => constant("int64", [values.length], values);
  const [top, left, bottom, right] = padding as [number, number, number, number];
  const grouped = node("Reshape", [inputs[0] as string, integers(-1, groups, own, ...size)]);
  // One axis at a time: the engine moves one by blocks, two entry by entry (0.03 ms and 0.75 on 16 images of 32×14×14).
  const channelsLast = node("Transpose", [grouped], { perm: [0, 1, 3, 4, 2] });
  const last =
    groups === 1
      ? node("Reshape", [channelsLast, integers(1, -1, ...size, own)])
      : node("Transpose", [channelsLast], { perm: [1, 0, 2, 3, 4] });
  const isPadded = padding.some((entries) => entries > 0);
  const images = isPadded ? node("Pad", [last, integers(0, 0, top, left, 0, 0, 0, bottom, right, 0)]) : last;
  const gradient = gradientByFilter(context, sizes);
  const taps = eachTapSeen(context, area, images, [2, 3]).map((seen) => {
    const products = node("MatMul", [gradient, node("Reshape", [seen, integers(groups, -1, own)])]);
    return node("Reshape", [products, integers(filters, own, 1)]);
  });
  const weights = taps.length === 1 ? (taps[0] as string) : node("Concat", taps, { axis: 2 });
  node("Reshape", [weights, integers(filters, own, ...kernel)], {}, output);
}

/** What all taps see [kernel·in, n·height·width] by the gradient [out, n·height·width], transposed: one product a group. */
function emitOneProduct(context: WeightGradientContext, sizes: WeightGradientSizes): void {
  const { inputs, attributes, node, constant, output } = context;
  const { padding, groups, kernel } = attributes;
  const { filters, own, made, size, area } = sizes;
  const integers = (...values: number[]): string => constant("int64", [values.length], values);
  const [top, left, bottom, right] = padding as [number, number, number, number];
  const isPadded = padding.some((entries) => entries > 0);
  const x = inputs[0] as string;
  const padded = isPadded ? node("Pad", [x, integers(0, 0, top, left, 0, 0, bottom, right)]) : x;
  const [height, width] = [(size[0] as number) + top + bottom, (size[1] as number) + left + right];
  const byChannel = node("Transpose", [padded], { perm: [1, 0, 2, 3] });
  const grouped = node("Reshape", [byChannel, integers(groups, own, -1, height, width)]);
  const taps = eachTapSeen(context, area, grouped, [3, 4]);
  const patches = taps.length === 1 ? (taps[0] as string) : node("Concat", taps, { axis: 1 });
  const gradient = gradientByFilter(context, sizes);
  const rows = taps.length * own;
  // Gemm transposes while it computes, but takes one group only.
  const products =
    groups === 1
      ? node(
          "Gemm",
          [node("Reshape", [patches, integers(rows, -1)]), node("Reshape", [gradient, integers(made, -1)])],
          {
            transB: 1,
          },
        )
      : node("MatMul", [
          node("Reshape", [patches, integers(groups, rows, -1)]),
          node("Transpose", [gradient], { perm: [0, 2, 1] }),
        ]);
  const byTap = node("Reshape", [products, integers(groups, taps.length, own, made)]);
  const weights = node("Transpose", [byTap], { perm: [0, 3, 2, 1] });
  node("Reshape", [weights, integers(filters, own, ...kernel)], {}, output);
}

/**
 * What all taps see [in·kernel, height·width] by the gradient [out, height·width], transposed, sample by sample, and the sum of
 * that. A convolution with a filter for each tap, one there and zero elsewhere, puts together what they see; the gradient,
 * the larger by far, is read as it lies. On 16 images of 1×28×28 and 32 filters of 3×3 it took 1.1 times the forward pass, one
 * product for all samples 1.6.
 */
function emitProductForEachSample(context: WeightGradientContext, sizes: WeightGradientSizes): void {
  const { inputs, attributes, node, constant, output } = context;
  const { groups, kernel } = attributes;
  const { filters, own, made, area } = sizes;
  const integers = (...values: number[]): string => constant("int64", [values.length], values);
  const channels = groups * own;
  const taps = product(kernel);
  const there = Array.from({ length: channels * taps * taps }, (_, at) =>
    Math.floor(at / taps) % taps === at % taps ? 1 : 0,
  );
  const filter = constant("float32", [channels * taps, 1, ...kernel], there);
  const seen = node("Conv", [inputs[0] as string, filter], { ...onnxWindow(kernel, attributes), group: channels });
  const operands = [
    node("Reshape", [seen, integers(-1, own * taps, product(area))]),
    node("Reshape", [inputs[1] as string, integers(-1, made, product(area))]),
  ];
  const products = node("FusedMatMul", operands, { transB: 1 });
  const bySample = node("Reshape", [products, integers(-1, groups, own * taps, made)]);
  const sums = node("ReduceSum", [bySample, integers(0)], { keepdims: 0 });
  const weights = node("Transpose", [sums], { perm: [0, 2, 1] });
  node("Reshape", [weights, integers(filters, own, ...kernel)], {}, output);
}

const plain = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 };
const conv = ({ stride, padding, dilation, groups }: Convolution): Convolution => ({
  stride,
  padding,
  dilation,
  groups,
});

/** The convolution of images [n, in, h, w] with weights [out, in / groups, kh, kw], plus a bias [out] if there is one. */
export const conv2d = (x: Tensor, weight: Tensor, bias?: Tensor, options: Partial<Convolution> = {}): Tensor =>
  x.apply(conv2dOperation, bias === undefined ? [x, weight] : [x, weight, bias], conv({ ...plain, ...options }));

/** d/dx of Σ gradient · conv2d(x, weight), for images of this size. */
export const conv2dInputGradient = (
  gradient: Tensor,
  weight: Tensor,
  size: readonly number[],
  options: Convolution,
): Tensor => gradient.apply(inputGradientOperation, [gradient, weight], { ...conv(options), size });

/** d/dweight of Σ gradient · conv2d(x, weight), for a kernel of this size. */
export const conv2dWeightGradient = (
  x: Tensor,
  gradient: Tensor,
  kernel: readonly number[],
  options: Convolution,
): Tensor => x.apply(weightGradientOperation, [x, gradient], { ...conv(options), kernel });

export const convolutionOperations = [conv2dOperation, inputGradientOperation, weightGradientOperation];
