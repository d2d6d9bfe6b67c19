/** Average pooling of images [n, channels, height, width]; padding counts as zeros, as in PyTorch. */
import { product } from "../../shape.ts";
import { defineOperation, type Tensor } from "../operation.ts";
import { type Dim, shapeMismatch } from "../values.ts";
import { scale } from "./arithmetic.ts";
import { sum } from "./broadcast.ts";
import {
  checkPooled,
  eachPlace,
  filled,
  onnxPool,
  type Pool,
  pooledType,
  type PoolOptions,
  poolOf,
  poolSchema,
  windowOf,
} from "./pool.ts";
import { isImages, leftOver } from "./window.ts";

const averagePoolOperation = defineOperation({
  name: "averagePool",
  rows: "independent",
  attributes: poolSchema,
  infer: (inputs, attributes) => pooledType("averagePool", inputs, attributes),
  gradient: ({ inputs: [x], gradient, attributes }) => [
    averagePoolGradient(gradient, (x as Tensor).shape.slice(2) as number[], attributes),
  ],
  emit: ({ inputs, attributes, node, output }) =>
    void node("AveragePool", inputs, { ...onnxPool(attributes), count_include_pad: 1 }, output),
  evaluate([x], output, attributes) {
    const totals = new Float64Array(output.data.length);
    const share = 1 / product(attributes.kernel);
    if (x === undefined) return;
    eachPlace(x.shape, output.shape, attributes, (inputAt, outputAt) => {
      totals[outputAt] = (totals[outputAt] as number) + share * (x.data[inputAt] as number);
    });
    output.data.set(totals);
  },
});

/** Input: the gradient of averages over images of `size`. */
const averagePoolGradientOperation = defineOperation({
  name: "averagePoolGradient",
  rows: "independent",
  attributes: { ...poolSchema, size: "integers" },
  infer(inputs, { size, ...pool }) {
    const [gradient] = inputs;
    const shape = [gradient?.shape[0] as Dim, gradient?.shape[1] as number, ...size];
    if (inputs.length !== 1) throw shapeMismatch("averagePoolGradient", "one gradient", inputs);
    checkPooled("averagePoolGradient", [{ shape, dtype: "float32" }], inputs, pool);
    return { shape, dtype: "float32" };
  },
  gradient: ({ gradient, attributes }) => [averagePool(gradient, attributes)],
  emit({ inputs: [gradient], inputTypes: [pooled], outputType, attributes, node, constant, shapeConstant, output }) {
    const { kernel, size } = attributes;
    const area = pooled?.shape.slice(2) as number[];
    const planes = node("Reshape", [gradient as string, constant("int64", [4], [-1, 1, ...area])]);
    const share = constant("float32", [1, 1, ...kernel], Array(product(kernel)).fill(1 / product(kernel)) as number[]);
    const rest = leftOver(size, area, kernel, windowOf(attributes));
    const spread = node("ConvTranspose", [planes, share], { ...onnxPool(attributes), output_padding: rest });
    node("Reshape", [spread, shapeConstant(outputType.shape)], {}, output);
  },
  evaluate([gradient], output, attributes) {
    const totals = new Float64Array(output.data.length);
    const share = 1 / product(attributes.kernel);
    if (gradient === undefined) return;
    eachPlace(output.shape, gradient.shape, attributes, (inputAt, outputAt) => {
      totals[inputAt] = (totals[inputAt] as number) + share * (gradient.data[outputAt] as number);
    });
    output.data.set(totals);
  },
});

/** The mean of every window, with padding counted as zeros. */
export const averagePool = (x: Tensor, options: PoolOptions): Tensor =>
  x.apply(averagePoolOperation, [x], filled(options));

/** The mean of every channel: [n, channels, h, w] → [n, channels]. */
export function globalAveragePool(x: Tensor): Tensor {
  if (!isImages(x.shape)) throw shapeMismatch("globalAveragePool", "images [n, channels, height, width]", [x]);
  return scale(sum(x, [2, 3]), 1 / (x.shape[2] * x.shape[3]));
}

/** The gradient of Σ gradient · averagePool(x) for images of this size. */
export function averagePoolGradient(gradient: Tensor, size: readonly number[], pool: Pool): Tensor {
  return gradient.apply(averagePoolGradientOperation, [gradient], { ...poolOf(pool), size });
}

export const averagePoolOperations = [averagePoolOperation, averagePoolGradientOperation];
