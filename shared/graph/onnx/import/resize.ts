/** Images enlarged by whole multiples, each pixel repeated; other ways of resizing are not known. */
import type { Tensor } from "../../operation.ts";
import { expand, reshape } from "../../operations/broadcast.ts";
import { type Dim, rowsOf } from "../../values.ts";
import { type NodeContext, type Rule, shapeOf } from "./context.ts";
import { ofTensor } from "./value.ts";

/** Where an entry of the enlarged axis lies in the axis as it was. */
const coordinates: Readonly<Record<string, (at: number, scale: number) => number>> = {
  asymmetric: (at, scale) => at / scale,
  half_pixel: (at, scale) => (at + 0.5) / scale - 0.5,
  half_pixel_symmetric: (at, scale) => (at + 0.5) / scale - 0.5,
  pytorch_half_pixel: (at, scale) => (at + 0.5) / scale - 0.5,
};

const nearest: Readonly<Record<string, (place: number) => number>> = {
  round_prefer_floor: (place) => Math.ceil(place - 0.5),
  round_prefer_ceil: (place) => Math.floor(place + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Throws where an axis would be more than its entries, each repeated. */
function checkRepetition(node: NodeContext, size: number, scale: number): void {
  // Before these attributes pixels were just repeated.
  const coordinate = node.text("coordinate_transformation_mode", node.operatorSet < 11 ? "asymmetric" : "half_pixel");
  const mode = node.text("nearest_mode", node.operatorSet < 11 ? "floor" : "round_prefer_floor");
  // Places rise along the axis, so that the ends of its first and last entries' repetitions tell of all.
  const isRepeated = [0, scale - 1, (size - 1) * scale, size * scale - 1].every((at) => {
    const place = nearest[mode]?.(coordinates[coordinate]?.(at, scale) ?? Number.NaN) ?? Number.NaN;
    return Math.max(0, Math.min(size - 1, place)) === Math.floor(at / scale);
  });
  if (!isRepeated)
    node.refuse(
      `it enlarges ${scale} times with the coordinates ${coordinate} and the nearest mode ${mode}, which repeats pixels unevenly`,
      "Export it with asymmetric coordinates and floor, or with half_pixel and round_prefer_floor.",
    );
}

/** The factor for each axis; samples keep their number, which a file that was exported for a batch of one size counts. */
function scalesOf(node: NodeContext, x: Tensor): number[] {
  const axes = node.list("axes")?.map((axis) => node.axis(axis, x.shape.length)) ?? [...x.shape.keys()];
  const given = node.operatorSet < 11 ? 1 : 2;
  const ofSizes = (dim: Dim, size: Dim): number => {
    if (typeof dim === "number") return typeof size === "number" ? size / dim : Number.NaN;
    return (typeof size === "number" ? size / (node.batch ?? Number.NaN) : size.rows) / dim.rows;
  };
  const scales = x.shape.map((dim, axis) => {
    const place = axes.indexOf(axis);
    if (place < 0) return 1;
    return node.has(3) ? ofSizes(dim, node.dims(3, "sizes")[place]!) : node.numbers(given, "scales")[place]!;
  });
  if (rowsOf(x.shape) !== undefined && scales[0] !== 1)
    return node.refuse(
      `it scales the samples, axis 0 of ${shapeOf(x)}`,
      "Samples keep their number: export the model with a scale of 1 in front, or with the batch's own size.",
    );
  return scales;
}

export const resized: Rule = (node) => {
  const x = node.tensor(0);
  node.without(
    "mode",
    node.text("mode", "nearest") !== "nearest",
    "Only nearest is known: export the model with it, or take an output before it.",
  );
  node.without(
    "keep_aspect_ratio_policy",
    node.text("keep_aspect_ratio_policy", "stretch") !== "stretch",
    "Export it with the sizes that come of it.",
  );
  const scales = scalesOf(node, x);
  if (scales.some((scale) => !Number.isInteger(scale) || scale < 1))
    return node.refuse(
      `it scales by [${scales.join(", ")}]`,
      "Only whole multiples are known: export the model with these, or take an output before it.",
    );
  const stretched = scales.reduce((from: Tensor, scale, axis) => {
    if (scale === 1) return from;
    const size = from.shape[axis] as number;
    checkRepetition(node, size, scale);
    const [front, back] = [from.shape.slice(0, axis + 1), from.shape.slice(axis + 1)];
    const wide = expand(reshape(from, [...front, 1, ...back]), [...front, scale, ...back]);
    return reshape(wide, [...from.shape.slice(0, axis), size * scale, ...back]);
  }, x);
  return ofTensor(stretched);
};
