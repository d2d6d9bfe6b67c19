import { describe, expect, it } from "vitest";
import { Crew, CREW_BYTES } from "../../../coordinator/crew/crew.ts";
import { ParameterStore, parameterBytes } from "../../../coordinator/parameters.ts";
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { layoutOf } from "../../../shared/memory/layout.ts";
import { Assembly } from "../../../shared/protocol/assembly.ts";
import { decodeFrame } from "../../../shared/protocol/codec.ts";
import { checkCoordinatorMessage } from "../../../shared/protocol/validate.ts";
import { vectorOf } from "../../support/vector.ts";

const layout = layoutOf([{ name: "0.weight", shape: [3, 5] }]);
const optimizer = {
  spec: { kind: "sgd", learningRate: 0.5, momentum: 0.9 },
  surroundings: { layout },
} as const;

function store(learningRate = 0.5): { store: ParameterStore; gradient: number; sums: Float32Array } {
  const arena = new Arena(CREW_BYTES + parameterBytes(layout, optimizer) + 4 * layout.size);
  const kernels = instantiateKernels(arena.memory);
  const crew = new Crew(arena, kernels, optimizer);
  const made = new ParameterStore(arena, kernels, layout, crew, () => learningRate);
  const gradient = arena.allocate(4 * layout.size);
  return { store: made, gradient, sums: arena.floats(gradient, layout.size) };
}

describe("the parameters", () => {
  it("are updated by the mean gradient, while the ones before stay readable", () => {
    const { store: parameters, gradient, sums } = store();
    parameters.vector.fill(1, 0, 15);
    const before = parameters.vector;
    sums.fill(8, 0, 15);
    expect(parameters.update({ root: gradient, additions: [] }, 4, 0)).toBe(true);
    // 1 − 0.5 · (8 / 4)
    expect(parameters.vector[0]).toBe(0);
    expect(parameters.state[0]!.vector[0]).toBe(2);
    expect(before[0]).toBe(1);
    expect(parameters.vector[15]).toBe(0);
  });

  it("stay as they are when a finite gradient would overflow them", () => {
    const { store: parameters, gradient, sums } = store(3e38);
    parameters.vector.fill(1, 0, 15);
    sums.fill(8, 0, 15);
    expect(parameters.update({ root: gradient, additions: [] }, 4, 0)).toBe(false);
    expect([...parameters.vector.subarray(0, 15)]).toEqual(Array(15).fill(1));
    expect(parameters.state[0]!.vector[0]).toBe(0);
  });

  it("are encoded once a version, as they were then", () => {
    const { store: parameters, gradient, sums } = store();
    parameters.vector.fill(1, 0, 15);
    const frames = parameters.framesOf(0);
    expect(parameters.framesOf(0)).toBe(frames);
    sums.fill(8, 0, 15);
    parameters.update({ root: gradient, additions: [] }, 4, 0);
    const { header, section } = decodeFrame(frames[0]!);
    const message = checkCoordinatorMessage(header);
    if (message.type !== "parameters") throw new Error(message.type);
    const received = vectorOf(new Uint8Array(4 * layout.size));
    expect(new Assembly(received).take(message.segment, section)).toBe("complete");
    expect([...new Float32Array(Uint8Array.from(received.bytes).buffer, 0, 15)]).toEqual(Array(15).fill(1));
    expect(parameters.framesOf(1)).not.toBe(frames);
  });
});
