/**
 * Rows of a table by their number, and the sums that are its gradient. Numbers are int32, or float32 as data sets hold
 * tokens; the engine refuses numbers beyond the table.
 */
import { defineOperation, type Tensor } from "../operation.ts";
import { rowsOf, sameShape, type Shape, shapeMismatch, type TensorType } from "../values.ts";

const isTable = (type: TensorType | undefined): boolean =>
  type?.dtype === "float32" && type.shape.length === 2 && rowsOf(type.shape) === undefined;

const lookupOperation = defineOperation({
  name: "lookup",
  rows: "independent",
  attributes: {},
  infer(inputs) {
    const [table, numbers] = inputs;
    if (!isTable(table) || table === undefined || numbers === undefined || inputs.length !== 2) {
      throw shapeMismatch("lookup", "a float32 table [rows, width] and numbers of rows", inputs);
    }
    return { shape: [...numbers.shape, table.shape[1] as number], dtype: "float32" };
  },
  gradient: ({ inputs: [table, numbers], gradient }) => [
    sumByRow(numbers as Tensor, gradient, (table as Tensor).shape[0] as number),
  ],
  emit({ inputs: [table, numbers], node, output }) {
    const whole = node("Cast", [numbers as string], { to: 7 });
    node("Gather", [table as string, whole], { axis: 0 }, output);
  },
  evaluate([table, numbers], output) {
    const width = output.shape.at(-1) as number;
    numbers?.data.forEach((row, place) => {
      if (table !== undefined) output.data.set(table.data.subarray(row * width, (row + 1) * width), place * width);
    });
  },
});

/** The rows of a table [rows, width] that the numbers [n, …] name: [n, …, width]. */
export const lookup = (table: Tensor, numbers: Tensor): Tensor => table.apply(lookupOperation, [table, numbers], {});

const sumByRowOperation = defineOperation({
  name: "sumByRow",
  rows: "per-shard",
  attributes: { rows: "integer" },
  infer(inputs, { rows }) {
    const [numbers, values] = inputs;
    const width = values?.shape.at(-1);
    const fits = numbers !== undefined && values?.dtype === "float32" && typeof width === "number";
    if (!fits || inputs.length !== 2 || !sameShape(values.shape, [...numbers.shape, width] as Shape)) {
      throw shapeMismatch("sumByRow", "numbers [n, …] and float32 values [n, …, width]", inputs);
    }
    return { shape: [rows, width], dtype: "float32" };
  },
  gradient: ({ inputs: [numbers], gradient }) => [undefined, lookup(gradient, numbers as Tensor)],
  emit({ inputs: [numbers, values], outputType, node, constant, shapeConstant, output }) {
    const width = outputType.shape[1] as number;
    const indices = node("Reshape", [node("Cast", [numbers as string], { to: 7 }), constant("int64", [2], [-1, 1])]);
    const updates = node("Reshape", [values as string, constant("int64", [2], [-1, width])]);
    const zeros = node("ConstantOfShape", [shapeConstant(outputType.shape)]);
    node("ScatterND", [zeros, indices, updates], { reduction: "add" }, output);
  },
  evaluate([numbers, values], output) {
    const width = output.shape[1] as number;
    const totals = new Float64Array(output.data.length);
    numbers?.data.forEach((row, place) => {
      for (let column = 0; column < width; column++) {
        const at = row * width + column;
        totals[at] = (totals[at] as number) + (values?.data[place * width + column] as number);
      }
    });
    output.data.set(totals);
  },
});

/** For each of `rows` numbers, the sum of the values [n, …, width] that stand at it in `numbers` [n, …]. */
export const sumByRow = (numbers: Tensor, values: Tensor, rows: number): Tensor =>
  numbers.apply(sumByRowOperation, [numbers, values], { rows });

export const lookupOperations = [lookupOperation, sumByRowOperation];
