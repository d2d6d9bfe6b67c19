/** Reference files of test/golden: which there are, their arrays, and the relative error that is allowed. */
import { readdirSync, readFileSync } from "node:fs";
import { expect } from "vitest";

const folder = new URL("../golden/", import.meta.url);

export interface GoldenArray {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "float64" | "int64";
  readonly data: string;
}

/** Every reference file whose name starts so, parsed. */
export const goldenFiles = <Content>(prefix: string): (readonly [name: string, content: Content])[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith(prefix) && name.endsWith(".json"))
    .map((name) => [name, JSON.parse(readFileSync(new URL(name, folder), "utf8")) as Content]);

/** The numbers of an array of a reference file. */
export function numbersOf({ dtype, data }: GoldenArray): number[] {
  const { buffer } = Uint8Array.from(Buffer.from(data, "base64"));
  switch (dtype) {
    case "float32":
      return [...new Float32Array(buffer)];
    case "float64":
      return [...new Float64Array(buffer)];
    case "int64":
      return [...new BigInt64Array(buffer)].map(Number);
    default:
      throw new Error(`no reader for ${String(dtype)}`);
  }
}

/** ‖a − b‖ / ‖b‖; where b is zero but for the rounding of doubles, as a key's bias under a softmax is, ‖a − b‖. */
function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let difference = 0;
  let norm = 0;
  for (let entry = 0; entry < expected.length; entry++) {
    difference += ((actual[entry] as number) - (expected[entry] as number)) ** 2;
    norm += (expected[entry] as number) ** 2;
  }
  return Math.sqrt(difference) / (norm < 1e-24 ? 1 : Math.sqrt(norm));
}

/** Fails, saying which array, unless the relative error is below 1e-5. */
export const expectClose = (what: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void =>
  expect(relativeError(actual, expected), what).toBeLessThan(1e-5);
