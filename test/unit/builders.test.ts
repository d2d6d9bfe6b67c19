/** What plain JavaScript gives the functions of the package in place of options: nothing may be taken for the defaults. */
import { expect, test } from "vitest";
import * as lockstep from "../../coordinator/index.ts";

const { adam, conv2d, cosine, dense, layerNorm, maxPool, sgd } = lockstep;
const bare = (build: (...given: never[]) => unknown, ...given: unknown[]): unknown =>
  (build as (...given: unknown[]) => unknown)(...given);

test.each([
  [() => bare(adam, 0.01), "adam: options: found 0.01, expected a map"],
  [() => bare(sgd, null), "sgd: options: found null, expected a map"],
  [() => bare(cosine, [0.1]), "cosine: options: found [ 0.1 ], expected a map"],
  [() => bare(dense, 8, "relu"), "dense: options: found 'relu', expected a map"],
  [() => bare(conv2d, 8, 3, 2), "conv2d: options: found 2, expected a map"],
  [() => bare(maxPool, 3, 2), "maxPool: options: found 2, expected a map"],
  [() => bare(layerNorm, 1e-6), "layerNorm: options: found 0.000001, expected a map"],
])("a bare value in place of options is refused by the function's name: %s", (build, message) => {
  const hint = expect.stringContaining("in braces, by their names");
  expect(build).toThrow(expect.objectContaining({ code: "CONFIG_INVALID", message, hint }));
});

test("every function with options refuses them so, and takes none", () => {
  const withOptions = Object.entries<unknown>(lockstep).filter(
    ([name, value]) => typeof value === "function" && name !== "transformerBlock" && /optionsOf/.test(value.toString()),
  );
  expect(withOptions).toHaveLength(26);
  for (const [name, build] of withOptions) {
    const before = (build as { length: number }).length;
    const main = Array<number>(before).fill(1);
    expect(() => (build as (...given: unknown[]) => unknown)(...main.slice(0, before), true, true, true)).toThrow(
      new RegExp(`^${name}: options: found (true|1), expected a map$`),
    );
  }
});
