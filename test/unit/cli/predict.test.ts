/** What is printed of a network's answer, and what it is not asked. */
import { describe, expect, it } from "vitest";
import { inJson, inWords } from "../../../coordinator/cli/predict.ts";
import { predict } from "../../../coordinator/trained/evaluate.ts";
import { layoutOf } from "../../../shared/memory/layout.ts";
import { compileModel } from "../../../shared/nn/model.ts";
import { failureOf } from "../../support/errors.ts";

const four = { train: { target: { kind: "class", classes: 4 } } } as const;
const probabilities = { output: "probabilities", values: Float32Array.of(0.25, 0.5, 0.125, 0.125) };

describe("class probabilities", () => {
  it("have the likeliest first", () => {
    expect(inWords(probabilities, four)).toBe("1  50.00 %\n0  25.00 %\n2  12.50 %\n3  12.50 %");
    expect(inJson(probabilities, four)).toEqual({ probabilities: [0.25, 0.5, 0.125, 0.125] });
  });

  it("have names where classes do", () => {
    const named = { ...four, classNames: ["oak", "ash", "elm", "yew"] };
    expect(inWords(probabilities, named)).toBe("1  50.00 %  ash\n0  25.00 %  oak\n2  12.50 %  elm\n3  12.50 %  yew");
    expect(inJson(probabilities, named)).toEqual({
      probabilities: [0.25, 0.5, 0.125, 0.125],
      classes: ["oak", "ash", "elm", "yew"],
    });
  });

  it("of a sequence are said of its last position, and in JSON of each", () => {
    const sequence = { train: { target: { kind: "class", classes: 2, positions: 2 } } } as const;
    const values = Float32Array.of(0.75, 0.25, 0.375, 0.625);
    expect(inWords({ output: "probabilities", values }, sequence)).toBe("1  62.50 %\n0  37.50 %");
    expect(inJson({ output: "probabilities", values }, sequence)).toEqual({
      probabilities: [
        [0.75, 0.25],
        [0.375, 0.625],
      ],
    });
  });

  it("of many classes are the likeliest twenty", () => {
    const many = { train: { target: { kind: "class", classes: 100 } } } as const;
    const values = Float32Array.from({ length: 100 }, (_, index) => index / 4950);
    const lines = inWords({ output: "probabilities", values }, many).split("\n");
    expect(lines).toHaveLength(21);
    expect(lines[0]).toBe("99   2.00 %");
    expect(lines[19]).toBe("80   1.62 %");
    expect(lines[20]).toBe("(80 others are less likely; --json shows all)");
  });
});

describe("what a loss of one's own predicts", () => {
  it("are scores, the largest first, and no shares", () => {
    const answer = { output: "output", values: Float32Array.of(-1.5, 20.25, 0, 3e-8) };
    const named = { ...four, classNames: ["oak", "ash", "elm", "yew"] };
    expect(inWords(answer, named)).toBe("1      20.25  ash\n3   3.000e-8  yew\n2      0.000  elm\n0     -1.500  oak");
  });

  it("has no classes' names where it is of another size", () => {
    const answer = { output: "output", values: Float32Array.of(0.5, 2) };
    for (const about of [
      { ...four, classNames: ["oak", "ash", "elm", "yew"] },
      { train: { target: { kind: "class", classes: 4, positions: 3 } } } as const,
    ]) {
      expect(inWords(answer, about)).toBe("output 0.5\noutput 2");
      expect(inJson(answer, about)).toEqual({ output: [0.5, 2] });
    }
  });
});

it("real values keep their order", () => {
  const two = { train: { target: { kind: "values", width: 2 } } } as const;
  const answer = { output: "output", values: Float32Array.of(0.5, -2) };
  expect(inWords(answer, two)).toBe("output 0.5\noutput -2");
  expect(inJson(answer, two)).toEqual({ output: [0.5, -2] });
});

describe("a network that looks its samples up", () => {
  const target = { kind: "class", classes: 3 } as const;
  const model = compileModel({
    inputShape: [4],
    target,
    layers: [{ kind: "embedding", vocabulary: 10, width: 2 }, { kind: "flatten" }, { kind: "dense", units: 3 }],
    loss: { kind: "crossEntropy" },
  });
  const layout = layoutOf(model.parameters);
  const trained = { model, layout, parameters: new Float32Array(layout.size), data: { train: { target } } };

  it("answers for numbers in its table", async () => {
    const { values } = await predict(trained, Float32Array.of(0, 1, 2, 9), "row.txt");
    expect([...values]).toEqual(Array(3).fill(Math.fround(1 / 3)));
  });

  it.each([
    [999, "Give tokens that the model was made for."],
    [-1, "An embedding takes tokens."],
    [0.5, "An embedding takes tokens."],
  ])("is not asked for %d", async (token, hint) => {
    const error = await failureOf(() => predict(trained, Float32Array.of(1, 2, token, 3), "row.txt"));
    expect(error).toMatchObject({
      code: "DATA_INVALID",
      message: `feature 2 of row.txt is ${token}, and the model looks it up in a table of 10 rows, by the whole numbers from 0 to 9`,
      hint,
    });
  });
});
