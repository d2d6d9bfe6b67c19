/**
 * What a model looks up in a table, such as an embedding, are the numbers of its samples: whole, and within the table. The
 * engine would cut off fractions without a word, and refuse what is too large only when a step comes to it.
 */
import type { Dataset } from "../../shared/data/dataset.ts";
import { blocksOf, storedAs, type Features } from "../../shared/data/features.ts";
import type { Parts } from "../../shared/data/parts.ts";
import { LockstepError } from "../../shared/errors.ts";
import type { Graph } from "../../shared/graph/graph.ts";
import { product } from "../../shared/shape.ts";

/** Throws DATA_INVALID for a sample with a number that has no row in the table that the graph looks it up in. */
export function checkLookups(graph: Graph, { train, test }: Parts): void {
  const rows = smallestTable(graph);
  if (rows === undefined) return;
  const checkPart = (data: Dataset, part: string): void => {
    const nameOf = (sample: number): string => `${part} sample ${sample}`;
    const enlarge = (token: number): string => `Give the embedding a vocabulary of at least ${token + 1}.`;
    checkFeatures(data.transfer().features, product(data.sampleShape), rows, nameOf, enlarge);
  };
  checkPart(train, "training");
  if (test !== undefined) checkPart(test, "test");
}

/** The same for the one sample that a trained network is asked about; `path` is what the error calls it. */
export function checkSample(graph: Graph, path: string, sample: Float32Array): void {
  const rows = smallestTable(graph);
  if (rows === undefined) return;
  checkFeatures(
    sample,
    sample.length,
    rows,
    () => path,
    () => "Give tokens that the model was made for.",
  );
}

/** The rows of the smallest table in which features are looked up as they are; undefined where none are. */
function smallestTable({ values, inputs }: Graph): number | undefined {
  const features = inputs.find(({ kind }) => kind === "features")?.value;
  const areFeatures = (value: number): boolean => {
    const { operation, inputs: from } = values[value]!;
    return value === features || (operation === "reshape" && areFeatures(from[0]!));
  };
  const tables = values.flatMap(({ operation, inputs: [table, numbers] }) =>
    operation === "lookup" && areFeatures(numbers!) ? [values[table!]!.shape[0] as number] : [],
  );
  return tables.length === 0 ? undefined : Math.min(...tables);
}

/** @param tooLarge what to do about a number beyond the table */
function checkFeatures(
  features: Features,
  width: number,
  rows: number,
  nameOf: (sample: number) => string,
  tooLarge: (token: number) => string,
): void {
  const scale = storedAs(features) === "uint8" ? 255 : 1;
  let largest = 0;
  let place = 0;
  const refuse = (entry: number, token: number, hint: string): never => {
    const where = `feature ${entry % width} of ${nameOf(Math.floor(entry / width))}`;
    throw new LockstepError(
      "DATA_INVALID",
      `${where} is ${token}, and the model looks it up in a table of ${rows} rows, by the whole numbers from 0 to ${rows - 1}`,
      hint,
    );
  };
  for (const { first, values } of blocksOf(features, width)) {
    for (const [at, value] of values.entries()) {
      const token = value / scale;
      if (!Number.isInteger(token) || token < 0) {
        const bytes = scale === 255 ? " Bytes are divided by 255: store them as int32." : "";
        refuse(first * width + at, token, `An embedding takes tokens.${bytes}`);
      }
      if (token > largest) [largest, place] = [token, first * width + at];
    }
  }
  if (largest >= rows) refuse(place, largest, tooLarge(largest));
}
