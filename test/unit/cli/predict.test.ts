/** What is printed of a network's answer. */
import { describe, expect, it } from "vitest";
import { inJson, inWords } from "../../../coordinator/cli/predict.ts";

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

it("real values keep their order", () => {
  const two = { train: { target: { kind: "values", width: 2 } } } as const;
  const answer = { output: "output", values: Float32Array.of(0.5, -2) };
  expect(inWords(answer, two)).toBe("output 0.5\noutput -2");
  expect(inJson(answer, two)).toEqual({ output: [0.5, -2] });
});
