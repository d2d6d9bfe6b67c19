/**
 * A layer and a loss of one's own, written from operations: a gate that scales each unit, and Huber's loss, which is not
 * carried away by outliers.
 *   npx node test/examples/custom-layer.ts [OPTIONS as JSON]
 */
import { fileURLToPath } from "node:url";
import { adam, dense, layer, loss, ops, sequential, train, type TrainConfig } from "../../coordinator/index.ts";

/** x · sigmoid(x·Wᵀ + b) */
const gate = layer("gate", (x, { use }) => ops.multiply(x, ops.sigmoid(use(dense(16), x))));

/** Half the squared error up to 1, beyond it the error minus a half (Huber, 1964). */
const huber = loss("huber", (output, targets) => {
  const error = ops.absolute(ops.subtract(output, targets));
  const near = ops.minimum(error, ops.fill(error, error.shape, 1));
  return ops.sum(ops.multiply(near, ops.subtract(error, ops.scale(near, 0.5))), [1]);
});

const config: TrainConfig = {
  data: {
    kind: "csv",
    train: fileURLToPath(new URL("iris.csv", import.meta.url)),
    target: "petal width",
    columns: { species: "category" },
    standardise: true,
  },
  validation: 0.2,
  model: sequential([dense(16), gate, dense(1)], huber),
  optimizer: adam({ learningRate: 0.01 }),
  epochs: 60,
  batch: 24,
};

const [options = "{}"] = process.argv.slice(2);
await train(
  { ...config, ...(JSON.parse(options) as TrainConfig) },
  { onEvent: (event) => console.log(JSON.stringify(event)) },
);
