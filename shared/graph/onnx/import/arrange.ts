/** Entries put in other places, of tensors and of known numbers, and what shapes are computed from. */
import { product } from "../../../shape.ts";
import type { Tensor } from "../../operation.ts";
import { add, complement, scale, select } from "../../operations/arithmetic.ts";
import { concat, lowerTriangle, pad, slice, transpose } from "../../operations/arrange.ts";
import { expand, reshape } from "../../operations/broadcast.ts";
import { lookup } from "../../operations/lookup.ts";
import { fill } from "../../operations/source.ts";
import { type Dim, rowsOf, type Shape } from "../../values.ts";
import { DAMAGED, type NodeContext, type Rule, type Rules, shapeOf } from "./context.ts";
import { pickedAlong, reordered, slicePlaces } from "./picked.ts";
import { resized } from "./resize.ts";
import { finite, type Known, ofList, ofNumbers, ofTensor, type Value } from "./value.ts";

/** Entries of a shape, for each sample where they depend on the samples. */
const entriesOf = (shape: Shape): number => product(shape.map((dim) => (typeof dim === "object" ? dim.rows : dim)));

/**
 * The shape a Reshape means: 0 keeps a size, −1 is what is left. Of a tensor of samples the first size counts these, also where
 * the file was exported for a batch of one size.
 */
function wantedShape(node: NodeContext, from: Shape, wanted: readonly Dim[]): Shape {
  const keeps = node.number("allowzero", 0) === 0;
  const [first] = wanted;
  const hasSamples = rowsOf(from) !== undefined;
  const sizes = wanted.map((dim, axis): Dim => {
    if (dim === 0 && keeps) return from[node.axis(axis, from.length)]!;
    return hasSamples && axis === 0 && typeof dim === "number" && dim > 0 ? { rows: dim / (node.batch ?? 1) } : dim;
  });
  const isRestSamples = node.batch === undefined && typeof first === "number" && first > 0 && wanted.includes(-1);
  if ((hasSamples && isRestSamples) || sizes.some((dim, axis) => axis > 0 && typeof dim === "object"))
    return node.refuse("it puts the samples behind another axis", LEADING);
  const rest = entriesOf(from) / entriesOf(sizes.map((dim) => (dim === -1 ? 1 : dim)));
  return sizes.map((dim, axis) => (dim !== -1 ? dim : hasSamples && axis === 0 ? { rows: rest } : rest));
}

const LEADING =
  "Samples stay the first axis: export the model with the batch in front (batch_first) and a free batch size.";

/** PyTorch's own attention does this whatever batch_first says. */
const MOVED =
  "Samples stay the first axis of every tensor inside the model too. nn.MultiheadAttention and nn.TransformerEncoderLayer move them, with batch_first as well: write attention with F.scaled_dot_product_attention.";

const reshaped: Rule = (node) => {
  const wanted = node.has(1) ? node.dims(1, "shape") : (node.list("shape") ?? []);
  const known = node.known(0);
  if (known === undefined) {
    const x = node.tensor(0);
    return ofTensor(reshape(x, wantedShape(node, x.shape, wanted)));
  }
  return { known: { ...known, shape: wantedShape(node, known.shape, wanted) as number[] } };
};

const flattened: Rule = (node) => {
  const x = node.tensor(0);
  const axis = node.number("axis", 1);
  const at = axis < 0 ? axis + x.shape.length : axis;
  if (at === 0 && rowsOf(x.shape) !== undefined) return node.refuse("it makes one row of all samples", LEADING);
  const [front, back] = [x.shape.slice(0, at), x.shape.slice(at)];
  const rows = rowsOf(x.shape) === undefined ? entriesOf(front) : { rows: entriesOf(front) };
  return ofTensor(reshape(x, [rows, entriesOf(back)]));
};

/** Changes a shape alone. */
const withShape =
  (shapeFrom: (node: NodeContext, shape: Shape) => Shape): Rule =>
  (node) => {
    const known = node.known(0);
    if (known !== undefined) return { known: { ...known, shape: shapeFrom(node, known.shape) as number[] } };
    const x = node.tensor(0);
    return ofTensor(reshape(x, shapeFrom(node, x.shape)));
  };

const axesOf = (node: NodeContext): readonly number[] | undefined =>
  node.has(1) ? node.numbers(1, "axes") : node.list("axes");

function squeezed(node: NodeContext, shape: Shape): Shape {
  const axes = axesOf(node)?.map((axis) => node.axis(axis, shape.length));
  return shape.filter((dim, axis) => (axes === undefined ? dim !== 1 : !axes.includes(axis)));
}

function unsqueezed(node: NodeContext, shape: Shape): Shape {
  const axes = axesOf(node) ?? [];
  const rank = shape.length + axes.length;
  const added = axes.map((axis) => node.axis(axis, rank));
  const rest = [...shape];
  const wide = Array.from({ length: rank }, (_, axis): Dim => (added.includes(axis) ? 1 : rest.shift()!));
  if (wide.some((dim, axis) => axis > 0 && typeof dim === "object"))
    return node.refuse("it puts an axis before the samples", LEADING);
  return wide;
}

const transposed: Rule = (node) => {
  const known = node.known(0);
  const orderOf = (shape: Shape): readonly number[] => {
    const order = node.list("perm") ?? [...shape.keys()].toReversed();
    const isWhole = order.length === shape.length && [...shape.keys()].every((axis) => order.includes(axis));
    return isWhole ? order : node.refuse(`its perm is [${order.join(", ")}]`, DAMAGED);
  };
  if (known !== undefined) return reordered(known, orderOf(known.shape));
  const x = node.tensor(0);
  const order = orderOf(x.shape);
  if (rowsOf(x.shape) !== undefined && order[0] !== 0)
    return node.refuse(`it moves the samples of ${shapeOf(x)} to axis ${order.indexOf(0)}`, MOVED);
  return ofTensor(transpose(x, order));
};

const joined: Rule = (node) => {
  const parts = Array.from({ length: node.inputs }, (_, place) => place);
  const known = parts.map((place) => node.known(place));
  if (known.every((part) => part !== undefined && part.shape.length === 1)) {
    const all = known as Known[];
    return ofNumbers(
      [all.reduce((count, { shape }) => count + shape[0]!, 0)],
      all.flatMap(({ values }) => [...values]),
      all[0]?.isFloat,
    );
  }
  const tensors = parts.map((place) => node.tensor(place));
  const [first] = tensors;
  const rank = first?.shape.length ?? 0;
  const axis = node.axis(node.number("axis", 0), rank);
  const batched = tensors.find(({ shape }) => rowsOf(shape) !== undefined);
  if (axis === 0 && batched !== undefined) return node.refuse("it joins samples", LEADING);
  // Learned rows, such as a class token, stand beside every sample's.
  const aligned = tensors.map((x) =>
    batched === undefined || rowsOf(x.shape) !== undefined || x.shape[0] !== 1
      ? x
      : expand(x, [batched.shape[0]!, ...x.shape.slice(1)]),
  );
  return ofTensor(concat(aligned as [Tensor, ...Tensor[]], axis));
};

const split: Rule = (node) => {
  const x = node.tensor(0);
  const axis = node.axis(node.number("axis", 0), x.shape.length);
  const size = x.shape[axis];
  if (typeof size !== "number") return node.refuse("it splits samples", LEADING);
  const each = Math.ceil(size / node.number("num_outputs", node.outputs));
  const sizes = node.has(1)
    ? node.numbers(1, "sizes")
    : (node.list("split") ?? Array.from({ length: node.outputs }, (_, part) => Math.min(each, size - part * each)));
  let end = 0;
  return sizes.map((part) => ofTensor(slice(x, axis, end, (end += part))));
};

/** Where a slice starts and ends in an axis of a size. */
function bounds(start: number, end: number, size: number): readonly [number, number] {
  const within = (place: number): number => Math.max(0, Math.min(size, place < 0 ? place + size : place));
  return [within(start), within(end)];
}

/** The largest int32: exporters write it, or a larger number, where a slice has no end. */
const TO_THE_END = 2 ** 31 - 1;

const sliced: Rule = (node) => {
  const starts = node.has(1) ? node.numbers(1, "starts") : (node.list("starts") ?? []);
  const ends = node.has(2) ? node.numbers(2, "ends") : (node.list("ends") ?? []);
  const given = node.has(3) ? node.numbers(3, "axes") : node.list("axes");
  const axes = given ?? starts.map((_, axis) => axis);
  const steps = node.has(4) ? node.numbers(4, "steps") : starts.map(() => 1);
  const known = node.known(0);
  const isWrong = (step: number): boolean => (known === undefined ? step !== 1 : step === 0);
  if (steps.some(isWrong))
    return node.refuse(
      `its steps are [${steps.join(", ")}]`,
      "Only steps of 1 are known: export the model with a Gather of these places, or take an output before it.",
    );
  if (known !== undefined) {
    const cutKnown = (from: Known, place: number): Known => {
      const axis = node.axis(axes[place]!, from.shape.length);
      return pickedAlong(from, axis, slicePlaces(starts[place]!, ends[place]!, steps[place]!, from.shape[axis]!));
    };
    return { known: starts.map((_, place) => place).reduce(cutKnown, known) };
  }
  const cut = (x: Tensor, place: number): Tensor => {
    const axis = node.axis(axes[place]!, x.shape.length);
    const size = x.shape[axis];
    const [start, end] = [starts[place]!, ends[place]!];
    if (typeof size === "number") return slice(x, axis, ...bounds(start, end, size));
    const isWhole = start === 0 && end >= TO_THE_END;
    return isWhole ? x : node.refuse("it takes some of the samples", LEADING);
  };
  return ofTensor(starts.map((_, place) => place).reduce(cut, node.tensor(0)));
};

const gathered: Rule = (node) => {
  const [source, places] = [node.known(0), node.known(1)];
  if (source !== undefined && places !== undefined && source.shape.length === 1) {
    const values = node.numbers(1, "indices").map((at) => source.values.at(at)!);
    return ofNumbers(places.shape, values, source.isFloat);
  }
  const x = node.tensor(0);
  const axis = node.axis(node.number("axis", 0), x.shape.length);
  if (places === undefined) {
    const isTable = axis === 0 && x.shape.length === 2 && rowsOf(x.shape) === undefined;
    return isTable
      ? ofTensor(lookup(x, node.tensor(1)))
      : node.refuse(
          "it takes entries that depend on the data",
          "Only rows of a table may be: export the model without it, or take an output before it.",
        );
  }
  return ofTensor(taken(node, x, axis, places));
};

/** Known entries of an axis, as stretches of those that follow one another. */
function taken(node: NodeContext, x: Tensor, axis: number, places: Known): Tensor {
  const size = x.shape[axis];
  if (typeof size !== "number") return node.refuse("it takes some of the samples", LEADING);
  const at = node.numbers(1, "indices").map((place) => (place < 0 ? place + size : place));
  if (at.length === 0) return node.refuse("it takes no entries", "All sizes are at least 1: take an output before it.");
  const starts = [...at.keys()].filter((entry) => at[entry] !== at[entry - 1]! + 1);
  const parts = starts.map((entry, stretch) => {
    const length = (starts[stretch + 1] ?? at.length) - entry;
    return slice(x, axis, at[entry]!, at[entry]! + length);
  });
  const picked = concat(parts as [Tensor, ...Tensor[]], axis);
  return reshape(picked, [...x.shape.slice(0, axis), ...places.shape, ...x.shape.slice(axis + 1)]);
}

/** Zeros at the ends of an axis; fewer than none take entries away. */
function extended(x: Tensor, axis: number, before: number, after: number): Tensor {
  if (before === 0 && after === 0) return x;
  const size = x.shape[axis] as number;
  const kept = before < 0 || after < 0 ? slice(x, axis, Math.max(0, -before), size - Math.max(0, -after)) : x;
  return pad(kept, axis, Math.max(0, before), Math.max(0, after));
}

const padded: Rule = (node) => {
  node.without(
    "mode",
    node.text("mode", "constant") !== "constant",
    "Only constant is known: export the model with zeros around, or take an output before it.",
  );
  const x = node.tensor(0);
  const sides = node.has(1) ? node.numbers(1, "pads") : (node.list("pads") ?? []);
  const value = node.has(2) ? (node.numbers(2, "value")[0] ?? 0) : node.number("value", 0);
  const rank = x.shape.length;
  const axes = node.has(3) ? node.numbers(3, "axes").map((axis) => node.axis(axis, rank)) : [...x.shape.keys()];
  const put = (from: Tensor, axis: number, place: number): Tensor =>
    extended(from, axis, sides[place]!, sides[place + axes.length]!);
  const y = axes.reduce(put, x);
  if (value === 0) return ofTensor(y);
  // The value is added outside alone: taking it from x and giving it back would round x.
  const isPadded = (axis: number): boolean =>
    axes.some((at, place) => at === axis && (sides[place] !== 0 || sides[place + axes.length] !== 0));
  const inside = fill(
    x,
    x.shape.map((dim, axis) => (isPadded(axis) ? dim : 1)),
    1,
  );
  return ofTensor(add(y, scale(complement(axes.reduce(put, inside)), finite(value))));
};

const repeated: Rule = (node) => {
  const repeats = node.numbers(1, "repeats");
  const known = node.known(0);
  if (known !== undefined && known.shape.length === 1)
    return ofNumbers(
      [known.values.length * repeats[0]!],
      Array.from({ length: repeats[0]! }, () => known.values).flat(),
      known.isFloat,
    );
  const x = node.tensor(0);
  const times = (from: Tensor, count: number, axis: number): Tensor =>
    count === 1 ? from : concat(Array<Tensor>(count).fill(from) as [Tensor, ...Tensor[]], axis);
  return ofTensor(repeats.reduce(times, x));
};

/** 1 in the lower triangle of a matrix, up to the diagonal that lies `k` to the right, else 0. */
function lowerOnes(x: Tensor, rows: number, columns: number, k: number): Tensor {
  // The triangle of a matrix with more rows above or more columns to the left, of which these are cut away.
  const [above, left] = [Math.max(0, k), Math.max(0, -k)];
  const ones = lowerTriangle(fill(x, [rows + above, columns + left], 1));
  return slice(slice(ones, 0, above, rows + above), 1, left, columns + left);
}

/** Triangles of matrices, the diagonal moved by `k`. */
const triangle: Rule = (node) => {
  const isUpper = node.number("upper", 1) === 1;
  const k = node.has(1) ? (node.numbers(1, "k")[0] ?? 0) : 0;
  const known = node.known(0);
  if (known !== undefined) {
    const [rows, columns] = known.shape.slice(-2) as [number, number];
    const isKept = (row: number, column: number): boolean => (isUpper ? column - row >= k : column - row <= k);
    const values = known.values.map((value, at) => (isKept(Math.floor(at / columns) % rows, at % columns) ? value : 0));
    return ofNumbers(known.shape, values, known.isFloat);
  }
  const x = node.tensor(0);
  const [rows, columns] = x.shape.slice(-2);
  if (typeof rows !== "number" || typeof columns !== "number")
    return node.refuse(`its input is ${shapeOf(x)}, in which samples are rows of one matrix`, LEADING);
  if (!isUpper && k === 0) return ofTensor(lowerTriangle(x));
  // The upper triangle is what the lower one, up to the diagonal before, leaves.
  const last = Math.max(-rows, Math.min(columns, isUpper ? k - 1 : k));
  const lower = lowerOnes(x, rows, columns, last);
  const zero = fill(x, [], 0);
  return ofTensor(isUpper ? select(lower, zero, x) : select(lower, x, zero));
};

/** Channels to blocks of pixels (Shi et al., 2016). */
const depthToSpace: Rule = (node) => {
  const x = node.tensor(0);
  const block = node.number("blocksize", 1);
  const [samples, channels, height, width] = x.shape as [Dim, number, number, number];
  const made = channels / block ** 2;
  const isDepthFirst = node.text("mode", "DCR") === "DCR";
  const blocks = isDepthFirst ? [block, block, made] : [made, block, block];
  const order = isDepthFirst ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3];
  return ofTensor(
    reshape(transpose(reshape(x, [samples, ...blocks, height, width]), order), [
      samples,
      made,
      height * block,
      width * block,
    ]),
  );
};

const shape: Rule = (node) => {
  const known = node.known(0);
  const dims: Shape = known?.shape ?? node.tensor(0).shape;
  return ofList(dims.slice(...bounds(node.number("start", 0), node.number("end", dims.length), dims.length)));
};

const filled: Rule = (node) => {
  const stored = node.storedAttribute("value");
  const [value = 0] = stored?.values ?? [];
  const isFloat = stored === undefined || stored.type === "float";
  const dims = node.dims(0, "shape");
  if (dims.every((dim) => typeof dim === "number")) {
    const size = product(dims);
    // Large ones are tensors: a list of so many numbers helps nobody.
    if (size > 4096 && isFloat) return ofTensor(fill(node.data, dims, value));
    return ofNumbers(dims, Array<number>(size).fill(value), isFloat);
  }
  return ofTensor(fill(node.data, dims, value));
};

function range(node: NodeContext): Value {
  const [start, limit, delta] = [0, 1, 2].map((place) => node.numbers(place, "bounds")[0]!) as [number, number, number];
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  return ofNumbers(
    [count],
    Array.from({ length: count }, (_, at) => start + at * delta),
    node.known(0)?.isFloat,
  );
}

export const arrangeRules: Rules = {
  Reshape: reshaped,
  Flatten: flattened,
  Squeeze: withShape(squeezed),
  Unsqueeze: withShape(unsqueezed),
  Transpose: transposed,
  Concat: joined,
  Split: split,
  Slice: sliced,
  Gather: gathered,
  Pad: padded,
  Tile: repeated,
  Trilu: triangle,
  DepthToSpace: depthToSpace,
  Resize: resized,
  Upsample: resized,
  Shape: shape,
  Size: (node) => {
    const dims = node.known(0)?.shape ?? node.tensor(0).shape;
    const isSamples = rowsOf(dims) !== undefined;
    return ofNumbers([], [isSamples ? { rows: entriesOf(dims) } : entriesOf(dims)]);
  },
  ConstantOfShape: filled,
  Range: range,
};
