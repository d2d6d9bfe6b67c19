/** What maximum and average pooling share: the attributes of a pool, shapes, and the walk over windows. */
import { product } from "../../shape.ts";
import { sameShape, shapeMismatch, type Dim, type TensorType } from "../values.ts";
import { eachTap, isImages, onnxWindow, type Window, windowedSizes, windowSchema } from "./window.ts";

/** Sizes are [height, width]; `padding` is [top, left, bottom, right]. */
export interface Pool {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
}
const { stride, padding } = windowSchema;
export const poolSchema = { kernel: "integers", stride, padding } as const;
export const windowOf = (pool: Pool): Window => ({ stride: pool.stride, padding: pool.padding, dilation: [1, 1] });
export const poolOf = ({ kernel, stride: steps, padding: around }: Pool): Pool => ({
  kernel,
  stride: steps,
  padding: around,
});

/** The pooled shape, or an error that names the shapes. */
export function pooledShape(
  operation: string,
  x: TensorType | undefined,
  pool: Pool,
): readonly [Dim, number, number, number] {
  if (!isImages(x?.shape) || x?.dtype !== "float32") {
    throw shapeMismatch(operation, "float32 images [n, channels, height, width]", x === undefined ? [] : [x]);
  }
  const sizes = windowedSizes(operation, x.shape.slice(2) as number[], pool.kernel, windowOf(pool));
  if (pool.padding.some((around, side) => around * 2 > (pool.kernel[side % 2] as number))) {
    throw shapeMismatch(`${operation} by ${pool.kernel.join("×")}`, "padding of at most half the kernel", [x]);
  }
  return [x.shape[0], x.shape[1], sizes[0] as number, sizes[1] as number];
}

/** Visits every place of every window: where it is in the input and in the output. */
export function eachPlace(
  input: readonly number[],
  output: readonly number[],
  pool: Pool,
  visit: (inputAt: number, outputAt: number) => void,
): void {
  const [plane, area] = [product(input.slice(2)), product(output.slice(2))];
  for (let image = 0; image < (input[0] as number) * (input[1] as number); image++) {
    eachTap(input.slice(2), output.slice(2), pool.kernel, windowOf(pool), (outputAt, _tap, inputAt) =>
      visit(image * plane + inputAt, image * area + outputAt),
    );
  }
}

/** The type of what is pooled from the only input. */
export function pooledType(operation: string, inputs: readonly TensorType[], pool: Pool): TensorType {
  if (inputs.length !== 1) throw shapeMismatch(operation, "one tensor of images", inputs);
  return { shape: pooledShape(operation, inputs[0], pool), dtype: "float32" };
}

/** The type of images and of what is pooled from them, checked to belong together. */
export function checkPooled(
  operation: string,
  inputs: readonly TensorType[],
  pooled: readonly TensorType[],
  pool: Pool,
): void {
  const shape = pooledShape(operation, inputs[0], pool);
  if (!pooled.every((type) => type.dtype === "float32" && sameShape(type.shape, shape))) {
    throw shapeMismatch(operation, "images and what is pooled from them", inputs);
  }
}

export const onnxPool = (pool: Pool) => {
  const { dilations: _none, ...window } = onnxWindow(pool.kernel, windowOf(pool));
  return window;
};

/** `stride` is by default the kernel, so that windows lie side by side; `padding` is by default none. */
export type PoolOptions = Pick<Pool, "kernel"> & Partial<Pool>;

export const filled = ({ kernel, stride: steps = kernel, padding: around = [0, 0, 0, 0] }: PoolOptions): Pool => ({
  kernel,
  stride: steps,
  padding: around,
});
