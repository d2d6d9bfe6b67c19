/** The crew's threads are kept off the processor that the main thread is on. */
import { readdirSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { Apart } from "../../../coordinator/crew/apart.ts";
import { Crew, CREW_BYTES } from "../../../coordinator/crew/crew.ts";
import { keepTo, processorsOf } from "../../../shared/affinity.ts";
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { layoutOf } from "../../../shared/memory/layout.ts";
import { operatingSystem } from "../../../shared/system.ts";

/** A system of these processors, and what threads were kept to: the calling one is on `here`. */
class System {
  here = 4;
  readonly kept: [thread: number, processors: readonly number[]][] = [];
  readonly #mask: Uint8Array;

  constructor(processors: readonly number[]) {
    this.#mask = maskOf(processors);
  }

  sched_getcpu(): number {
    return this.here;
  }

  sched_getaffinity(_: number, __: number, mask: Uint8Array): number {
    mask.set(this.#mask);
    return 0;
  }

  sched_setaffinity(thread: number, _: number, mask: Uint8Array): number {
    this.kept.push([thread, [...Array(8 * mask.length).keys()].filter((each) => mask[each >> 3]! & (1 << (each & 7)))]);
    return 0;
  }
}

function maskOf(processors: readonly number[]): Uint8Array {
  const mask = new Uint8Array(1_024);
  for (const processor of processors) mask[processor >> 3]! |= 1 << (processor & 7);
  return mask;
}

describe("threads", () => {
  it("are kept to the processors that the main thread is not on, anew when it has moved", () => {
    const system = new System([1, 4, 9]);
    const apart = new Apart(system);
    apart.keep([11, 12]);
    apart.keep([11, 12]);
    expect(system.kept.splice(0)).toEqual([
      [11, [1, 9]],
      [12, [1, 9]],
    ]);
    system.here = 9;
    apart.keep([11, 12]);
    expect(system.kept).toEqual([
      [11, [1, 4]],
      [12, [1, 4]],
    ]);
  });

  it("that come late are kept there too", () => {
    const system = new System([1, 4]);
    const apart = new Apart(system);
    apart.keep([]);
    apart.keep([11]);
    expect(system.kept).toEqual([[11, [1]]]);
  });

  it("are left alone where there is one processor", () => {
    const system = new System([4]);
    new Apart(system).keep([11]);
    expect(system.kept).toEqual([]);
  });
});

const system = operatingSystem();
const all = (system && processorsOf(system)) ?? [];

it.runIf(all.length > 1)("a crew's thread runs on other processors than who gives it a job", async () => {
  const floats = 300_000;
  const arena = new Arena(CREW_BYTES + 4 * floats + 64);
  const spec = { kind: "sgd", learningRate: 0.1 } as const;
  const layout = layoutOf([{ name: "weight", shape: [floats] }]);
  const crew = new Crew(arena, instantiateKernels(arena.memory), { spec, surroundings: { layout } });
  const at = arena.allocate(4 * floats);
  const threads = (): string[] => readdirSync("/proc/self/task");
  const before = new Set(threads());
  crew.hire(floats, 2);
  const without = (here: number): string[] =>
    threads().filter((thread) => {
      const others = all.filter((processor) => processor !== here);
      return !before.has(thread) && isDeepStrictEqual(processorsOf(system!, Number(thread)), others);
    });
  try {
    for (const here of all.slice(0, 2)) {
      keepTo(system!, [here]);
      const kept = (): number => {
        crew.run({ additions: [{ into: at, left: at, right: at }], count: floats });
        return without(here).length;
      };
      await expect.poll(kept).toBe(1);
    }
  } finally {
    keepTo(system!, all);
    await crew.close();
  }
});
