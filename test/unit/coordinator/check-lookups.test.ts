/** Which tables of a model the numbers of a sample must have a row in. */
import { expect, it } from "vitest";
import { checkSample } from "../../../coordinator/model/check-lookups.ts";
import { GraphBuilder } from "../../../shared/graph/graph.ts";
import type { Graph } from "../../../shared/graph/graph.ts";
import type { Tensor } from "../../../shared/graph/operation.ts";
import { reshape } from "../../../shared/graph/operations/broadcast.ts";
import { lookup } from "../../../shared/graph/operations/lookup.ts";
import { refusalIfAny } from "../../support/errors.ts";

/** A model that looks something made of its features [2, 2] up in tables of so many rows. */
function graphOf(rows: readonly number[], numbers: (features: Tensor) => Tensor = (features) => features): Graph {
  const builder = new GraphBuilder();
  const features = builder.input("features", { kind: "features" }, [{ rows: 1 }, 2, 2]);
  const outputs = rows.map((count, index) => {
    const table = builder.input(`table${index}`, { kind: "parameter", parameter: `table${index}` }, [count, 3]);
    return [`y${index}`, lookup(table, numbers(features))];
  });
  return builder.build(Object.fromEntries(outputs) as Record<string, Tensor>);
}

const rowsIn = (graph: Graph, token: number): string | undefined =>
  /a table of (\d+) rows/.exec(
    refusalIfAny(() => checkSample(graph, "row", Float32Array.of(0, 1, token, 1)))?.message ?? "",
  )?.[1];

it("the smallest table decides, wherever it stands", () => {
  for (const rows of [
    [5, 9],
    [9, 5],
  ]) {
    expect(rowsIn(graphOf(rows), 4)).toBeUndefined();
    expect(rowsIn(graphOf(rows), 5)).toBe("5");
  }
});

it("features of another shape are the same numbers", () => {
  const graph = graphOf([5], (features) => reshape(reshape(features, [{ rows: 1 }, 4]), [{ rows: 1 }, 4, 1]));
  expect(rowsIn(graph, 4)).toBeUndefined();
  expect(rowsIn(graph, 5)).toBe("5");
});
