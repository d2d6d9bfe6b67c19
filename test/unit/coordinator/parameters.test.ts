import { describe, expect, it } from "vitest";
import { Crew, CREW_BYTES } from "../../../coordinator/crew/crew.ts";
import { ParameterStore, parameterBytes } from "../../../coordinator/exchange/parameters.ts";
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { layoutOf } from "../../../shared/memory/layout.ts";
import { Assembly } from "../../../shared/protocol/assembly.ts";
import { decodeFrame } from "../../../shared/protocol/codec.ts";
import type { Frame } from "../../../shared/protocol/codec.ts";
import { SEGMENT_BYTES } from "../../../shared/protocol/messages.ts";
import { checkCoordinatorMessage } from "../../../shared/protocol/validate.ts";
import type { CheckedVector } from "../../../shared/memory/vector.ts";
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
    expect(parameters.update({ root: gradient, additions: [] }, 4, 0)).toEqual({ isFinite: true, damaged: [] });
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
    expect(parameters.update({ root: gradient, additions: [] }, 4, 0)).toEqual({ isFinite: false, damaged: [] });
    expect([...parameters.vector.subarray(0, 15)]).toEqual(Array(15).fill(1));
    expect(parameters.state[0]!.vector[0]).toBe(0);
  });

  it("stay as they are when the sum is damaged", () => {
    const { store: parameters, gradient, sums } = store();
    parameters.vector.fill(1, 0, 15);
    sums.fill(8, 0, 15);
    const checks = { vectors: [{ place: gradient, checksum: 1 }], length: layout.size };
    const total = { root: gradient, additions: [], checks };
    expect(parameters.update(total, 4, 0)).toEqual({ isFinite: true, damaged: [gradient] });
    expect([...parameters.vector.subarray(0, 15)]).toEqual(Array(15).fill(1));
  });

  it("are encoded once a version, from where they lie; once they are written over, their checksum is wrong", () => {
    const { store: parameters, gradient, sums } = store();
    parameters.vector.fill(1, 0, 15);
    const frames = [...parameters.lend("whole", undefined, "all").frames];
    expect([...parameters.lend("whole", undefined, "all").frames][0]).toBe(frames[0]);
    const { header, section } = decodeFrame(frames[0]!);
    expect([section.buffer, section.byteOffset]).toEqual([parameters.bytes.buffer, parameters.bytes.byteOffset]);
    const message = checkCoordinatorMessage(header);
    if (message.type !== "parameters") throw new Error(message.type);
    const { segment } = message;
    const taken = (): string =>
      `${new Assembly(received).take(segment, section)} ${new Float32Array(received.bytes.buffer, received.bytes.byteOffset, 1)[0]}`;
    const received = vectorOf(new Uint8Array(4 * layout.size));
    expect(taken()).toBe("complete 1");
    for (let step = 0; step < 2; step++) {
      sums.fill(8, 0, 15);
      parameters.update({ root: gradient, additions: [] }, 4, step);
      expect([...parameters.lend("whole", undefined, "all").frames][0]).not.toBe(frames[0]);
      expect(taken()).toMatch(step === 0 ? /^complete 1$/ : /^corrupt/);
    }
  });

  it("are packed to the same buffers again, once nobody is sent what was there", () => {
    const { store: parameters, gradient } = store();
    const buffers: (ArrayBufferLike | undefined)[] = [];
    const late: (() => void)[] = [];
    for (let step = 0; step < 8; step++) {
      const [one, other] = [parameters.lend("whole", "words", "all"), parameters.lend("whole", "words", "all")];
      buffers.push([...one.frames][0]![1]!.buffer);
      expect([...other.frames][0]![1]!.buffer).toBe(buffers[step]);
      one.over();
      // Of the first two, one worker takes no more for some time.
      if (step < 2) late.push(other.over);
      else other.over();
      if (step === 4) for (const over of late) over();
      parameters.update({ root: gradient, additions: [] }, 4, step);
    }
    // What was still in use when the next version came is not used again.
    expect(buffers.map((buffer) => buffers.indexOf(buffer))).toEqual([0, 1, 2, 2, 2, 2, 2, 2]);
  });

  it("are not encoded any more once the next version is there, which takes their place in memory in the end", () => {
    const { store: parameters, gradient } = store();
    const { frames } = parameters.lend("whole", undefined, "all");
    expect(parameters.update({ root: gradient, additions: [] }, 4, 0)).toEqual({ isFinite: true, damaged: [] });
    expect([...frames]).toEqual([]);
    expect([...parameters.lend("whole", undefined, "all").frames]).toHaveLength(1);
  });

  it("keep what is frozen, and its average, in every version; it is encoded only where the whole is asked for", () => {
    const parts = layoutOf([
      { name: "0.weight", shape: [20] },
      { name: "0.bias", shape: [7], frozen: true },
    ]);
    const given = {
      spec: { kind: "sgd", learningRate: 0.5 },
      surroundings: { layout: parts, averageDecay: 0.9 },
    } as const;
    const arena = new Arena(CREW_BYTES + parameterBytes(parts, given) + 4 * parts.size);
    const kernels = instantiateKernels(arena.memory);
    const crew = new Crew(arena, kernels, given);
    const parameters = new ParameterStore(arena, kernels, parts, crew, () => 0.5);
    const root = arena.allocate(4 * parts.size);
    const frozen = (vector: Float32Array): number[] => [...vector.subarray(parts.trained, parts.trained + 7)];
    const values = [1, 2, 3, 4, 5, 6, 7];
    parameters.vector.set(values, parts.trained);
    for (let step = 0; step < 4; step++) {
      parameters.update({ root, additions: [] }, 4, step);
      expect(frozen(parameters.vector)).toEqual(values);
      expect(frozen(parameters.state[0]!.vector)).toEqual(values);
    }
    const sectionOf = (part: "whole" | "trained"): number =>
      decodeFrame([...parameters.lend(part, undefined, "all").frames][0]!).section.length;
    expect([sectionOf("whole"), sectionOf("trained")]).toEqual([4 * parts.size, 4 * parts.trained]);
  });
});

describe("the end of the next parameters", () => {
  /** Three segments, the last one short; behind them, what is frozen. */
  const long = layoutOf([
    { name: "0.weight", shape: [SEGMENT_BYTES / 2 + 20] },
    { name: "0.bias", shape: [7], frozen: true },
  ]);
  const floats = SEGMENT_BYTES / 4;
  const given = {
    spec: { kind: "sgd", learningRate: 0.5, momentum: 0.9 },
    surroundings: { layout: long, averageDecay: 0.9 },
  } as const;

  function bench(): { parameters: ParameterStore; root: number; sums: Float32Array } {
    const arena = new Arena(CREW_BYTES + parameterBytes(long, given) + 4 * long.size);
    const kernels = instantiateKernels(arena.memory);
    const parameters = new ParameterStore(arena, kernels, long, new Crew(arena, kernels, given), () => 0.5);
    const root = arena.allocate(4 * long.size);
    parameters.vector.forEach((_, index, vector) => (vector[index] = Math.cos(index)));
    return { parameters, root, sums: arena.floats(root, long.size) };
  }

  const gradientOf = (sums: Float32Array, step: number): void =>
    sums.forEach((_, index) => (sums[index] = index < long.trained ? Math.sin(index + step) : 0));
  /** Where the segments of frames begin, in segments. */
  const offsetsOf = (frames: Iterable<Frame>): number[] =>
    [...frames].map((frame) => {
      const message = checkCoordinatorMessage(decodeFrame(frame).header);
      if (message.type !== "parameters") throw new Error(message.type);
      return message.segment.offset / SEGMENT_BYTES;
    });
  /** What a receiver says to frames of parameters. */
  function takenInto(received: CheckedVector, frames: readonly Frame[]): string[] {
    const assembly = new Assembly(received, "last");
    return frames.map((frame) => {
      const { header, section } = decodeFrame(frame);
      const message = checkCoordinatorMessage(header);
      return message.type === "parameters" ? assembly.take(message.segment, section) : message.type;
    });
  }
  const bitsOf = ({ parameters }: ReturnType<typeof bench>): Buffer =>
    Buffer.concat([
      parameters.bytes,
      ...parameters.state.map(({ vector }) => Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)),
    ]);

  it("is computed before the rest, to the bits of the whole, and the current ones stay as they are", () => {
    const [inParts, whole] = [bench(), bench()];
    for (let step = 0; step < 4; step++) {
      for (const { sums } of [inParts, whole]) gradientOf(sums, step);
      const { parameters, root } = inParts;
      const before = bitsOf(inParts);
      const places = [long.size, 2 * floats, floats];
      for (const [index, until] of places.slice(0, -1).entries()) {
        const tail = { root, additions: [], from: places[index + 1]!, until };
        expect(parameters.advance(tail, 4, step)).toBe(true);
      }
      expect(bitsOf(inParts).equals(before)).toBe(true);
      // What was used is not looked at again.
      inParts.sums.fill(Number.NaN, floats);
      const total = { root, additions: [], usedFrom: floats };
      expect(parameters.update(total, 4, step)).toEqual({ isFinite: true, damaged: [] });
      expect(whole.parameters.update({ root: whole.root, additions: [] }, 4, step).isFinite).toBe(true);
      expect(bitsOf(inParts).equals(bitsOf(whole))).toBe(true);
    }
  });

  it("is not finite where the gradient isn't, or would make it so", () => {
    const { parameters, root, sums } = bench();
    sums.fill(1);
    sums[floats + 5] = Number.POSITIVE_INFINITY;
    expect(parameters.advance({ root, additions: [], from: 2 * floats, until: long.size }, 4, 0)).toBe(true);
    expect(parameters.advance({ root, additions: [], from: floats, until: 2 * floats }, 4, 0)).toBe(false);
  });

  it("is sent ahead, the last segment first; the others follow from the first on, all as they are in the end", () => {
    const { parameters, root, sums } = bench();
    gradientOf(sums, 0);
    const frames: Frame[] = [];
    for (const [from, until] of [
      [2 * floats, long.size],
      [floats, 2 * floats],
    ] as const) {
      parameters.advance({ root, additions: [], from, until }, 4, 0);
      frames.push(...parameters.lendAhead("words", 4 * from, until === long.size ? undefined : 4 * until).frames);
    }
    // Who is told late gets both, made once.
    expect([...parameters.lendAhead("words", 4 * floats).frames]).toEqual(frames);
    parameters.update({ root, additions: [], usedFrom: floats }, 4, 0);
    frames.push(...parameters.lend("trained", "words", 4 * floats).frames);
    expect(offsetsOf(frames)).toEqual([2, 1, 0]);
    expect([...parameters.lend("trained", "words", "all").frames]).toEqual(frames.toReversed());
    const received = vectorOf(new Uint8Array(4 * long.trained));
    expect(takenInto(received, frames)).toEqual(["partial", "partial", "complete"]);
    expect(Buffer.compare(received.bytes, parameters.bytes.subarray(0, 4 * long.trained))).toBe(0);
  });

  it("is made anew if it was not kept, and comes again before the first segment", () => {
    const { parameters, root, sums } = bench();
    sums.fill(3);
    const tail = { root, additions: [], from: floats, until: long.size };
    parameters.advance(tail, 4, 0);
    const { frames } = parameters.lendAhead("words", 4 * floats);
    const [first] = frames;
    gradientOf(sums, 0);
    parameters.update({ root, additions: [] }, 4, 0);
    // What was not made yet of the wrong ones is not made any more.
    expect([...frames]).toEqual([]);
    const again = [...parameters.lend("trained", "words", "again").frames];
    expect(offsetsOf(again)).toEqual([2, 1, 0]);
    expect(again[0]).not.toEqual(first);
    expect(again.map((frame) => frame[1]!.buffer)).not.toContain(first![1]!.buffer);
  });

  it("waits for its turn without being written over while the version before is on its way", () => {
    const { parameters, root, sums } = bench();
    const late = parameters.lend("trained", "words", "all");
    const current = Buffer.from(parameters.bytes).subarray(0, 4 * long.trained);
    gradientOf(sums, 0);
    parameters.advance({ root, additions: [], from: floats, until: long.size }, 4, 0);
    const ahead = [...parameters.lendAhead("words", 4 * floats).frames];
    const frames = [...late.frames];
    const received = vectorOf(new Uint8Array(4 * long.trained));
    expect(takenInto(received, frames).at(-1)).toBe("complete");
    expect(Buffer.compare(received.bytes, current)).toBe(0);
    expect(frames.map((frame) => frame[1]!.buffer)).not.toContain(ahead[0]![1]!.buffer);
  });
});
