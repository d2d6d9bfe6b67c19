import { describe, expect, it } from "vitest";
import { multiplicationsOf, suitsSocketThread } from "../../../shared/compute/which-thread.ts";
import { encodeGraph } from "../../../shared/graph/serialise.ts";
import { compileModel } from "../../../shared/nn/model.ts";
import type { LayerSpec } from "../../../shared/nn/spec.ts";

const dense = (units: number): LayerSpec => ({ kind: "dense", units, activation: "relu" });
const digits = (inputShape: readonly number[], ...layers: LayerSpec[]) =>
  compileModel({
    inputShape,
    target: { kind: "class", classes: 10 },
    layers: [...layers, { kind: "dense", units: 10 }],
    loss: { kind: "crossEntropy" },
  });

const small = digits([784], dense(64));
const wide = digits([784], dense(1024), dense(1024));
const wider = digits([784], dense(4096), dense(4096));
const images = digits(
  [1, 28, 28],
  { kind: "conv2d", filters: 32, kernel: 3, activation: "relu" },
  { kind: "maxPool", size: 2 },
  { kind: "conv2d", filters: 64, kernel: 3, activation: "relu" },
  { kind: "maxPool", size: 2 },
  { kind: "flatten" },
);

describe("the work of a step", () => {
  it.each([
    // Forward, the weights' gradient, and from the second layer on the inputs'.
    ["784-64-10", small, 2 * 784 * 64 + 3 * 64 * 10],
    ["784-1024-1024-10", wide, 2 * 784 * 1024 + 3 * (1024 * 1024 + 1024 * 10)],
  ])("%s: multiplications are those of its products, and a little more", (_, { train }, products) => {
    const counted = multiplicationsOf(train);
    expect(counted).toBeGreaterThanOrEqual(products);
    expect(counted).toBeLessThan(1.1 * products);
  });

  it.each([
    ["784-64-10 at 128", small, 128, true, true],
    ["784-64-10 at 60,000", small, 60_000, false, false],
    ["784-1024-1024-10 at 512", wide, 512, false, true],
    ["784-1024-1024-10 at 1,024", wide, 1_024, false, false],
    ["two convolutions at 128", images, 128, false, true],
    // A step takes 2^31.2 multiplications, 2,048 rows of an evaluation 2^35.2.
    ["784-4096-4096-10 at 40", wider, 40, false, false],
  ])(
    "%s: suits the socket's thread where another processor is to be had, and where none is",
    (_, model, batch, ...suits) => {
      const plan = { train: encodeGraph(model.train), evaluate: encodeGraph(model.evaluate), batch };
      expect([suitsSocketThread(plan, 2), suitsSocketThread(plan, 1)]).toEqual(suits);
    },
  );
});
