/**
 * Windows that slide over the two last axes of [n, channels, height, width]: the geometry convolution and pooling share.
 * Output sizes are ONNX's and PyTorch's: ⌊(size + padding − dilation·(kernel − 1) − 1) / stride⌋ + 1.
 */
import { LockstepError } from "../../errors.ts";
import { type Dim, type Shape } from "../values.ts";

/** All sizes are [height, width]; `padding` is [top, left, bottom, right], as ONNX has it. */
export interface Window {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
}
export const windowSchema = { stride: "integers", padding: "integers", dilation: "integers" } as const;

/** ONNX's names for the same. */
export const onnxWindow = (kernel: readonly number[], { stride, padding, dilation }: Window) => ({
  kernel_shape: kernel,
  strides: stride,
  pads: padding,
  dilations: dilation,
});

/** What a stride left over at the bottom and at the right: ConvTranspose's output_padding. */
export const leftOver = (
  size: readonly number[],
  output: readonly number[],
  kernel: readonly number[],
  { stride, padding, dilation }: Window,
): number[] =>
  size.map((entries, axis) => {
    const covered = ((output[axis] as number) - 1) * (stride[axis] as number);
    const extent = (dilation[axis] as number) * ((kernel[axis] as number) - 1) + 1;
    return entries + (padding[axis] as number) + (padding[axis + 2] as number) - covered - extent;
  });

const isSizes = (sizes: readonly number[], count: number, least: number): boolean =>
  sizes.length === count && sizes.every((size) => Number.isSafeInteger(size) && size >= least && size < 2 ** 20);

/** [height, width] of what a window gives; throws SHAPE_MISMATCH where it doesn't fit into what it slides over. */
export function windowedSizes(
  operation: string,
  sizes: readonly number[],
  kernel: readonly number[],
  window: Window,
): number[] {
  const { stride, padding, dilation } = window;
  if (!isSizes(kernel, 2, 1) || !isSizes(stride, 2, 1) || !isSizes(padding, 4, 0) || !isSizes(dilation, 2, 1)) {
    throw new LockstepError("GRAPH_INVALID", `${operation}: ${JSON.stringify({ kernel, ...window })} is no window`);
  }
  return sizes.map((size, axis) => {
    const padded = size + (padding[axis] as number) + (padding[axis + 2] as number);
    const extent = (dilation[axis] as number) * ((kernel[axis] as number) - 1) + 1;
    if (extent > padded) {
      const side = axis === 0 ? "high" : "wide";
      throw new LockstepError(
        "SHAPE_MISMATCH",
        `${operation}: a kernel of ${kernel.join("×")} does not fit into ${sizes.join("×")}: it is ${extent} ${side}, the padded input ${padded}`,
        "Take a smaller kernel or dilation, more padding, or fewer layers that shrink the image.",
      );
    }
    return Math.floor((padded - extent) / (stride[axis] as number)) + 1;
  });
}

/** Whether a shape is [n, channels, height, width] with all but n known. */
export const isImages = (shape: Shape | undefined): shape is readonly [Dim, number, number, number] =>
  shape?.length === 4 && shape.slice(1).every((dim) => typeof dim === "number");

/** Visits every (place in the output, place in the kernel, place in the input) of one channel; padding is left out. */
export function eachTap(
  input: readonly number[],
  output: readonly number[],
  kernel: readonly number[],
  { stride, padding, dilation }: Window,
  visit: (outputAt: number, kernelAt: number, inputAt: number) => void,
): void {
  const [height, width] = input as [number, number];
  const [outputHeight, outputWidth] = output as [number, number];
  const [kernelHeight, kernelWidth] = kernel as [number, number];
  for (let row = 0; row < outputHeight; row++) {
    for (let column = 0; column < outputWidth; column++) {
      for (let i = 0; i < kernelHeight; i++) {
        for (let j = 0; j < kernelWidth; j++) {
          const y = row * (stride[0] as number) + i * (dilation[0] as number) - (padding[0] as number);
          const x = column * (stride[1] as number) + j * (dilation[1] as number) - (padding[1] as number);
          if (y < 0 || y >= height || x < 0 || x >= width) continue;
          visit(row * outputWidth + column, i * kernelWidth + j, y * width + x);
        }
      }
    }
  }
}
