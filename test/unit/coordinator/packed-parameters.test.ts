/** Parameters on their way to another host: packed words, or differences to the version that is there. */
import { describe, expect, it } from "vitest";
import { Crew, CREW_BYTES } from "../../../coordinator/crew/crew.ts";
import { ParameterStore, parameterBytes } from "../../../coordinator/exchange/parameters.ts";
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { layoutOf } from "../../../shared/memory/layout.ts";
import { Packing, packingBytes } from "../../../shared/memory/packing.ts";
import { checkedVector } from "../../../shared/memory/vector.ts";
import { Assembly } from "../../../shared/protocol/assembly.ts";
import { decodeFrame } from "../../../shared/protocol/codec.ts";
import type { Frame } from "../../../shared/protocol/codec.ts";
import { SEGMENT_BYTES } from "../../../shared/protocol/messages.ts";
import type { Packed, Parameters } from "../../../shared/protocol/messages.ts";
import { checkCoordinatorMessage } from "../../../shared/protocol/validate.ts";

/** Three segments, the last one short. */
const layout = layoutOf([{ name: "0.weight", shape: [SEGMENT_BYTES / 2 + 20] }]);
const floats = SEGMENT_BYTES / 4;
const bytes = 4 * layout.size;
const optimizer = { spec: { kind: "sgd", learningRate: 0.001 }, surroundings: { layout } } as const;

class Bench {
  readonly arena = new Arena(CREW_BYTES + parameterBytes(layout, optimizer) + bytes);
  readonly #kernels = instantiateKernels(this.arena.memory);
  readonly store = new ParameterStore(
    this.arena,
    this.#kernels,
    layout,
    new Crew(this.arena, this.#kernels, optimizer),
    () => 0.001,
  );
  readonly root = this.arena.allocate(bytes);
  #steps = 0;

  constructor() {
    this.store.vector.forEach((_, index, vector) => (vector[index] = Math.cos(index)));
  }

  gradient(scale = 1): void {
    const sums = this.arena.floats(this.root, layout.size);
    sums.forEach((_, index) => (sums[index] = scale * Math.sin(index + this.#steps)));
  }

  update(usedFrom?: number): boolean {
    return this.store.update({ root: this.root, additions: [], usedFrom }, 4, this.#steps++).isFinite;
  }

  advance(from: number, until = layout.size): void {
    this.store.advance({ root: this.root, additions: [], from, until }, 4, this.#steps);
  }

  get bits(): Buffer {
    return Buffer.from(this.store.bytes);
  }
}

const messageOf = (frame: Frame): { message: Parameters; section: Uint8Array } => {
  const { header, section } = decodeFrame(frame);
  const message = checkCoordinatorMessage(header);
  if (message.type !== "parameters") throw new Error(message.type);
  return { message, section };
};
const packedIn = (frames: readonly Frame[]): (Packed | undefined)[] =>
  frames.map((frame) => messageOf(frame).message.segment.packed);
const lengthOf = (frames: readonly Frame[]): number =>
  frames.reduce((sum, frame) => sum + messageOf(frame).section.length, 0);
const WORDS = ["words", "words", "words"];
const RIGHT = { said: ["partial", "partial", "complete"], isRight: true };
const DIFFERENCES = ["differences", "differences", "differences"];

/** The two places of a worker for parameters. */
class Receiver {
  readonly #arena = new Arena(packingBytes() + 2 * bytes);
  readonly #kernels = instantiateKernels(this.#arena.memory);
  readonly #packing = new Packing(this.#arena, this.#kernels);
  readonly #blocks = [this.#arena.allocate(bytes), this.#arena.allocate(bytes)];

  /** What was said of the frames, and whether these bits are there then. */
  take(frames: readonly Frame[], bits: Buffer): { said: string[]; isRight: boolean } {
    const { version } = messageOf(frames[0]!).message;
    const [block, other] = version % 2 === 0 ? this.#blocks : this.#blocks.toReversed();
    const target = checkedVector(this.#arena, this.#kernels, this.#packing, block!, bytes, () => other);
    const assembly = new Assembly(target, "last");
    const said = frames.map((frame) => {
      const { message, section } = messageOf(frame);
      return assembly.take(message.segment, section);
    });
    return { said, isRight: Buffer.compare(target.bytes, bits) === 0 };
  }
}

describe("packed parameters", () => {
  it("are words, or differences for who has the version before, if there was one", () => {
    const bench = new Bench();
    const receiver = new Receiver();
    expect(packedIn([...bench.store.lend("whole", undefined, "all").frames])).toEqual([undefined]);
    for (let step = 0; step < 4; step++) {
      const words = [...bench.store.lend("whole", "words", "all").frames];
      const differences = [...bench.store.lend("whole", "differences", "all").frames];
      expect(packedIn(words)).toEqual(WORDS);
      expect(packedIn(differences)).toEqual(step === 0 ? WORDS : DIFFERENCES);
      expect(lengthOf(differences) < 0.8 * lengthOf(words)).toBe(step > 0);
      expect(receiver.take(differences, bench.bits)).toEqual(RIGHT);
      expect(new Receiver().take(words, bench.bits)).toEqual(RIGHT);
      bench.gradient();
      bench.update();
    }
  });

  it("that differ are damaged for who has another version", () => {
    const bench = new Bench();
    bench.gradient();
    bench.update();
    const { said } = new Receiver().take([...bench.store.lend("whole", "differences", "all").frames], bench.bits);
    expect(said).toEqual(["corrupt", "corrupt", "corrupt"]);
  });

  it("are words where the version before is written over", () => {
    const bench = new Bench();
    const receiver = new Receiver();
    receiver.take([...bench.store.lend("whole", "words", "all").frames], bench.bits);
    bench.gradient();
    bench.update();
    const late = bench.store.lend("whole", "differences", "all").frames;
    const first = late[Symbol.iterator]().next().value as Frame;
    bench.gradient();
    bench.advance(2 * floats);
    const rest = [...late];
    expect(packedIn([first, ...rest])).toEqual(["differences", "words", "words"]);
    expect(receiver.take([first, ...rest], bench.bits)).toEqual(RIGHT);
  });

  it.each<[string, (bench: Bench) => void]>([
    [
      "a step that was not finite",
      (bench) => {
        bench.gradient(Number.POSITIVE_INFINITY);
        expect(bench.update()).toBe(false);
      },
    ],
    ["a restart", ({ store }) => store.restore({ step: 1, parameters: store.vector, state: [] } as never)],
  ])("are words after %s", (_, happens) => {
    const bench = new Bench();
    bench.gradient();
    bench.update();
    happens(bench);
    expect(packedIn([...bench.store.lend("whole", "differences", "all").frames])).toEqual(WORDS);
  });

  it("differ from the current ones where they are sent ahead, also behind the step", () => {
    const bench = new Bench();
    const receiver = new Receiver();
    receiver.take([...bench.store.lend("whole", "words", "all").frames], bench.bits);
    bench.gradient();
    bench.advance(floats);
    const ahead = bench.store.lendAhead("differences", 4 * floats).frames;
    const first = ahead[Symbol.iterator]().next().value as Frame;
    bench.update(floats);
    const frames = [first, ...ahead, ...bench.store.lend("trained", "differences", 4 * floats).frames];
    expect(packedIn(frames)).toEqual(DIFFERENCES);
    expect(receiver.take(frames, bench.bits)).toEqual(RIGHT);
  });

  it("are made once for all who are sent the same, in buffers that are used again", () => {
    const bench = new Bench();
    const kinds = ["words", "differences"] as const;
    const buffersOf = (packed: Packed): ArrayBufferLike[] => {
      const [one, other] = [bench.store.lend("whole", packed, "all"), bench.store.lend("whole", packed, "all")];
      const frames = [...one.frames];
      expect([...other.frames].map((frame, index) => frame === frames[index])).toEqual([true, true, true]);
      one.over();
      other.over();
      return frames.map((frame) => frame[1]!.buffer);
    };
    const first = kinds.map(buffersOf);
    expect(new Set(first.flat()).size).toBe(6);
    bench.gradient();
    bench.update();
    kinds.map(buffersOf).forEach((again, kind) => again.forEach((each, at) => expect(each).toBe(first[kind]![at])));
  });
});
