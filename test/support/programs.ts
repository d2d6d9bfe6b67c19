/** Running programs in tests: arrays as the worker has them (aligned views into one shared memory), by name. */
import type { Engine } from "../../shared/engine/engine.ts";
import { splitAt } from "../../shared/gradient/tree.ts";
import type { Program } from "../../shared/graph/program.ts";
import { product } from "../../shared/shape.ts";

export type Arrays = Record<string, Float32Array | Int32Array>;

/** Zeroed arrays for these ports; every one starts on a 64-byte boundary of one shared WebAssembly.Memory. */
export function arraysFor(ports: Program["inputs"]): Arrays {
  const bytes = ports.map(({ shape }) => Math.ceil((product(shape) * 4) / 64) * 64);
  const pages = Math.ceil(bytes.reduce((left, right) => left + right, 0) / 65_536) + 1;
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  let offset = 0;
  return Object.fromEntries(
    ports.map(({ name, dtype, shape }, place) => {
      const array =
        dtype === "float32"
          ? new Float32Array(buffer, offset, product(shape))
          : new Int32Array(buffer, offset, product(shape));
      offset += bytes[place] as number;
      return [name, array];
    }),
  );
}

/** The outputs of a program: of a sum the shards' terms, added along the canonical tree in the arrays' own precision. */
export function summed<Numbers extends Float32Array | Float64Array | Int32Array>(
  program: Program,
  given: Readonly<Record<string, Numbers>>,
): Record<string, Numbers> {
  const terms = new Map<string, Numbers[]>();
  for (const { name, output } of program.outputs) terms.set(output, [...(terms.get(output) ?? []), given[name]!]);
  return Object.fromEntries([...terms].map(([output, each]) => [output, treeSum(each)]));
}

/** Adds arrays along the canonical tree. */
export function treeSum<Numbers extends Float32Array | Float64Array | Int32Array>(terms: readonly Numbers[]): Numbers {
  if (terms.length === 1) return terms[0]!;
  const middle = splitAt(terms.length);
  const [left, right] = [treeSum(terms.slice(0, middle)), treeSum(terms.slice(middle))];
  return left.map((value, entry) => value + right[entry]!) as Numbers;
}

/** Runs a program once on fresh arrays that hold the given numbers. */
export async function runOnce(
  engine: Engine,
  program: Program,
  given: Readonly<Record<string, ArrayLike<number>>>,
): Promise<Record<string, Float32Array>> {
  const inputs = arraysFor(program.inputs);
  for (const { name } of program.inputs) inputs[name]?.set(given[name] ?? []);
  const outputs = arraysFor(program.outputs) as Record<string, Float32Array>;
  const prepared = await engine.prepare(program);
  try {
    await prepared.run(inputs, outputs);
  } finally {
    await prepared.close();
  }
  return summed(program, outputs);
}

/** Numbers in −1 … 1 that look random and are the same every time. */
export function someNumbers(count: number, seed = 1): Float32Array {
  let state = seed * 2_654_435_761;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 31 - 1) * (state % 7 === 0 ? 0.01 : 1);
  });
}
