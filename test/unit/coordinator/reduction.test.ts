import { describe, expect, it } from "vitest";
import { mostCopies } from "../../../coordinator/core/assigning.ts";
import { maximalSubtrees } from "../../../shared/gradient/tree.ts";
import { SEGMENT_BYTES } from "../../../shared/protocol/messages.ts";
import { randomStream } from "../../../shared/random.ts";
import { ReductionBench } from "../../support/reduction.ts";

const root = (shards: number) => ({ start: 0, end: shards });
type Leaf = ReturnType<typeof root>;
const bitsOf = (sum: Float32Array): Buffer => Buffer.from(sum.buffer);

describe("a reduction", () => {
  it("gives the bits of the tree sum whatever the order, with losses, copies and damage, and leaks no buffer", () => {
    const bench = new ReductionBench({ train: 6, evaluate: 9 });
    const random = randomStream(7, "split");
    let drawn = 0;
    const below = (count: number): number => random.uint32(drawn++) % count;
    const ofDamaged = new Set<string>();
    for (let step = 0; step < 40; step++) {
      const kind = step % 5 === 4 ? "evaluate" : "train";
      const shards = kind === "train" ? 1 + below(6) : 9;
      bench.open(kind, step, shards);
      const cut = below(shards + 1);
      const nodes = [...maximalSubtrees(shards, 0, cut), ...maximalSubtrees(shards, cut, shards)];
      const order = nodes
        .map((node) => ({ node, rank: random.uint32(drawn++) }))
        .toSorted((one, other) => one.rank - other.rank);
      for (const { node } of order) {
        const fate = below(4);
        if (fate === 0) {
          // Its worker is lost half-way.
          bench.send("a", node, { segments: 1 });
          bench.drop("a", node);
        } else if (fate === 1) {
          ofDamaged.add(bench.send("a", node, { damaged: true }));
          bench.drop("a", node);
        } else if (fate === 2) {
          // A copy that is still on its way when the other is whole.
          bench.send("a", node, { segments: 1 });
        }
        expect(bench.send("b", node)).toBe("complete");
        bench.fold("b", node);
        bench.drop("a", node);
      }
      expect(bench.result().equals(bitsOf(bench.sumOver()))).toBe(true);
    }
    expect(ofDamaged).toEqual(new Set(["corrupt"]));
  });

  it("holds as many copies as the core allows, again and again", () => {
    const shards = 3;
    const bench = new ReductionBench({ train: shards, evaluate: 1 });
    for (let step = 0; step < 5; step++) {
      bench.open("train", step, shards);
      const leaves = [0, 1, 2].map((start) => ({ start, end: start + 1 }));
      for (let copy = 0; copy < mostCopies(shards); copy++) {
        bench.send(`w${copy}`, leaves[copy % shards]!, { segments: 1 });
      }
      expect(() => bench.send("w9", leaves[0]!, { segments: 1 })).toThrow(
        "more partials are arriving than were assigned",
      );
      for (const [index, leaf] of [...leaves.entries()].toReversed()) {
        bench.send(`w${index}`, leaf);
        bench.fold(`w${index}`, leaf);
      }
      expect(bench.result().equals(bitsOf(bench.sumOver()))).toBe(true);
    }
  });

  it("has segments come to where they are added up", () => {
    const bench = new ReductionBench({ train: 2, evaluate: 1 });
    bench.open("train", 0, 2);
    const [left, right] = [0, 1].map((start) => ({ start, end: start + 1 })) as [Leaf, Leaf];
    expect(bench.send("a", left)).toBe("complete");
    bench.fold("a", left);
    const second = bench.begin("b", right, 1)!;
    expect(second.end()).toBe("partial");
    // It is here.
    expect(bench.begin("b", right, 1)).toBeUndefined();
    const first = bench.begin("b", right, 0)!;
    expect(first.room.bytes.buffer).toBe(second.room.bytes.buffer);
    expect(first.end()).toBe("complete");
    bench.fold("b", right);
    expect(bench.result().equals(bitsOf(bench.sumOver()))).toBe(true);
  });

  it("leaves a buffer to the connection that writes there beyond the end of its work, until it is over or the buffer is wanted", () => {
    const shards = 3;
    const bench = new ReductionBench({ train: shards, evaluate: 1 });
    const leaves = [0, 1, 2].map((start) => ({ start, end: start + 1 }));
    bench.open("train", 0, shards);
    const said: string[] = [];
    const late = ["x", "y"].map((worker) => bench.begin(worker, leaves[0]!, 0, () => said.push(`${worker} is cut`))!);
    const scribble = (): void => late.forEach(({ room }) => room.bytes.fill(0x41));
    for (let step = 1; step < 4; step++) {
      bench.open("train", step, shards);
      for (const leaf of leaves) {
        bench.send("a", leaf);
        scribble();
      }
      for (const leaf of leaves) bench.fold("a", leaf);
      scribble();
      expect(bench.result().equals(bitsOf(bench.sumOver()))).toBe(true);
    }
    late[0]!.room.over();
    bench.open("train", 4, shards);
    for (let copy = 0; copy < mostCopies(shards); copy++) {
      expect(said).toEqual([]);
      bench.send(`w${copy}`, leaves[copy % shards]!, { segments: 1 });
    }
    expect(said).toEqual(["y is cut"]);
    late[1]!.room.over();
    // What was taken back is not free twice.
    expect(() => bench.send("w9", leaves[0]!, { segments: 1 })).toThrow(
      "more partials are arriving than were assigned",
    );
  });

  it("frees what is added and what is dropped at once, not only with the next work", () => {
    const bench = new ReductionBench({ train: 3, evaluate: 1 });
    bench.open("train", 0, 3);
    const [first, second, third] = [0, 1, 2].map((start) => ({ start, end: start + 1 })) as [Leaf, Leaf, Leaf];
    for (let time = 0; time < 20; time++) {
      bench.send("lost", third, { segments: 1 });
      bench.drop("lost", third);
    }
    for (const leaf of [first, second]) {
      bench.send("a", leaf);
      bench.fold("a", leaf);
    }
    // Two leaves are one sum: of all buffers one is in use.
    for (let copy = 1; copy < mostCopies(3); copy++) bench.send(`w${copy}`, third, { segments: 1 });
    expect(() => bench.send("w0", third, { segments: 1 })).toThrow("more partials are arriving than were assigned");
  });

  it("forgets what a work left behind when the next is opened", () => {
    const bench = new ReductionBench({ train: 2, evaluate: 1 });
    for (let step = 0; step < 9; step++) {
      bench.open("train", step, 2);
      bench.send("a", { start: 0, end: 1 });
      bench.fold("a", { start: 0, end: 1 });
      bench.send("b", { start: 1, end: 2 }, { segments: 1 });
      expect(() => bench.reduction.totalFrom(0)).toThrow("the sum is not complete");
    }
    bench.open("train", 9, 2);
    // Both segments are wanted again: the half of the work before is not taken for this one's.
    expect(bench.send("b", root(2), { segments: 1 })).toBe("partial");
    expect(bench.send("b", root(2))).toBe("complete");
    bench.fold("b", root(2));
    expect(bench.result().equals(bitsOf(bench.sumOver()))).toBe(true);
  });

  it("drops what it never had without a word", () => {
    const bench = new ReductionBench({ train: 1, evaluate: 1 });
    bench.open("train", 0, 1);
    for (let time = 0; time < 5; time++) bench.drop("a", root(1));
    expect(bench.send("a", root(1))).toBe("complete");
    bench.fold("a", root(1));
    expect(bench.result().equals(bitsOf(bench.sumOver()))).toBe(true);
  });

  it("tells apart whose sums over a node are equal, finite ones first, and which have given bits", () => {
    const bench = new ReductionBench({ train: 2, evaluate: 1 });
    bench.open("train", 0, 2);
    const leaf = { start: 0, end: 1 };
    const right = bench.sumOver(leaf);
    const other = right.with(3, right[3]! + 1);
    const noNumber = right.with(3, Number.NaN);
    bench.send("n", leaf, { sum: noNumber });
    bench.send("a", leaf);
    bench.send("b", leaf, { sum: other });
    bench.send("c", leaf);
    bench.send("half", leaf, { segments: 1 });
    expect(bench.compare("n a b c", leaf)).toEqual(["a c", "b", "n"]);
    expect(bench.isFinite("a", leaf)).toBe(true);
    expect(bench.isFinite("n", leaf)).toBe(false);
    expect(bench.equalTo(leaf, other)).toBe("b");
    expect(bench.equalTo(leaf, right)).toBe("a c");
  });

  it("takes a partial from shared memory whole, or not at all", () => {
    const bench = new ReductionBench({ train: 2, evaluate: 1 });
    bench.open("train", 0, 2);
    const [left, right] = [0, 1].map((start) => ({ start, end: start + 1 })) as [Leaf, Leaf];
    expect(bench.place("a", left, { damaged: true })).toBe("corrupt");
    expect(bench.place("a", left, { missing: true })).toBe("corrupt");
    bench.send("a", left, { segments: 1 });
    expect(bench.place("a", left)).toBe("complete");
    bench.fold("a", left);
    bench.place("b", right, { damaged: true });
    expect(bench.send("b", right)).toBe("complete");
    bench.fold("b", right);
    expect(bench.result().equals(bitsOf(bench.sumOver()))).toBe(true);
  });

  describe("that trusts", () => {
    const leaves = [0, 1, 2].map((start) => ({ start, end: start + 1 })) as [Leaf, Leaf, Leaf];
    const opened = (): ReductionBench => {
      const bench = new ReductionBench({ train: 3, evaluate: 1 });
      bench.open("train", 0, 3, true);
      return bench;
    };

    it("gives the same bits, with partials from shared memory and from sockets", () => {
      const bench = opened();
      const [first, second, third] = leaves;
      bench.place("a", first);
      bench.fold("a", first);
      bench.send("b", second);
      bench.fold("b", second);
      bench.place("c", third);
      bench.fold("c", third);
      expect(bench.result().equals(bitsOf(bench.sumOver()))).toBe(true);
      expect(bench.culprits()).toBe("");
    });

    it.each(["step", "sum"])("finds who has left damage as it is added, in a %s", (how) => {
      for (const damaged of [[], ["a"], ["c"], ["a", "b", "c"]]) {
        const bench = opened();
        leaves.forEach((leaf, index) => {
          const worker = "abc"[index]!;
          expect(bench.place(worker, leaf, { damaged: damaged.includes(worker) })).toBe("complete");
          bench.fold(worker, leaf);
        });
        if (how === "sum") bench.result();
        expect(
          bench
            .culprits(how === "step")
            .split(" ")
            .toSorted()
            .join(" ")
            .trim(),
        ).toBe(damaged.join(" "));
      }
    });

    it("finds damage of the only partial, and none of what is not used", () => {
      for (const how of ["step", "sum"]) {
        const bench = opened();
        bench.place("b", leaves[0], { damaged: true });
        bench.drop("b", leaves[0]);
        bench.place("a", root(3), { damaged: true });
        bench.fold("a", root(3));
        if (how === "sum") bench.result();
        expect(bench.culprits(how === "step")).toBe("a");
      }
    });
  });
});

describe("the end of a sum", () => {
  const floats = SEGMENT_BYTES / 4;
  const leaves = (shards: number): Leaf[] => Array.from({ length: shards }, (_, start) => ({ start, end: start + 1 }));
  /** Segments of a partial: two, and of its second a few floats alone. */
  const end = { back: 1 };

  it("is known once all partials have come so far, and the partials stay as they were", () => {
    for (let shards = 1; shards <= 9; shards++) {
      const bench = new ReductionBench({ train: shards, evaluate: 1 });
      for (let step = 0; step < 3; step++) {
        bench.open("train", step, shards, true, shards);
        for (const leaf of leaves(shards)) {
          expect(bench.tail()).toBeUndefined();
          bench.send("a", leaf, end);
        }
        const wanted = bitsOf(bench.sumOver());
        expect(bench.tail()).toEqual({ from: floats, bits: wanted.subarray(SEGMENT_BYTES) });
        expect(bench.tail()).toBeUndefined();
        for (const leaf of leaves(shards)) {
          bench.send("a", leaf);
          bench.fold("a", leaf);
        }
        expect(bench.result().equals(wanted)).toBe(true);
      }
    }
  });

  it("is known where the tree leans to one side, so that many sums wait for their neighbours", () => {
    const shards = 126;
    const bench = new ReductionBench({ train: shards, evaluate: 1 });
    const nodes: Leaf[] = [];
    for (let [start, half] = [0, 32]; half >= 1; [start, half] = [start + 2 * half, half / 2])
      nodes.push({ start, end: start + half }, { start: start + half, end: start + 2 * half });
    bench.open("train", 0, shards, true, nodes.length);
    for (const node of nodes) bench.send("a", node, end);
    expect(bench.tail()?.bits.equals(bitsOf(bench.sumOver()).subarray(SEGMENT_BYTES))).toBe(true);
  });

  it("is known of what is folded and what is arriving, whatever is which", () => {
    const shards = 6;
    for (const folded of [0b1, 0b1100, 0b11110, 0b110011, 0b101010, 0b111110]) {
      const bench = new ReductionBench({ train: shards, evaluate: 1 });
      bench.open("train", 0, shards, true, shards);
      const isFolded = ({ start }: Leaf): boolean => (folded & (1 << start)) !== 0;
      for (const leaf of leaves(shards).toReversed()) {
        bench.send("a", leaf, isFolded(leaf) ? {} : end);
        if (isFolded(leaf)) bench.fold("a", leaf);
      }
      expect(bench.tail()?.bits.equals(bitsOf(bench.sumOver()).subarray(SEGMENT_BYTES))).toBe(true);
      for (const leaf of leaves(shards).filter((each) => !isFolded(each))) {
        bench.send("a", leaf);
        bench.fold("a", leaf);
      }
      expect(bench.result().equals(bitsOf(bench.sumOver()))).toBe(true);
    }
  });

  it("is of the copies of which most has come", () => {
    const bench = new ReductionBench({ train: 1, evaluate: 1 });
    bench.open("train", 0, 1, true);
    bench.send("a", root(1), { segments: 1 });
    bench.send("b", root(1), end);
    bench.send("c", root(1), { segments: 1 });
    expect(bench.tail()?.from).toBe(floats);
    bench.drop("a", root(1));
    bench.drop("c", root(1));
    bench.send("b", root(1));
    bench.fold("b", root(1));
    expect(bench.reduction.totalFrom(floats).usedFrom).toBe(floats);
  });

  it("is not kept when a partial in it is dropped, and then the whole is waited for", () => {
    const bench = new ReductionBench({ train: 2, evaluate: 1 });
    const [left, right] = leaves(2) as [Leaf, Leaf];
    bench.open("train", 0, 2, true, 2);
    bench.send("a", left, end);
    bench.send("b", right, end);
    expect(bench.tail()).toBeDefined();
    bench.send("a", left);
    bench.fold("a", left);
    bench.drop("b", right);
    bench.send("c", right, end);
    expect(bench.tail()).toBeUndefined();
    bench.send("c", right);
    bench.fold("c", right);
    expect(bench.reduction.totalFrom(floats).usedFrom).toBeUndefined();
    // The next work begins without it.
    bench.open("train", 1, 2, true);
    bench.send("a", root(2), end);
    expect(bench.tail()).toBeDefined();
    bench.send("a", root(2));
    bench.fold("a", root(2));
    expect(bench.reduction.totalFrom(floats).usedFrom).toBe(floats);
  });

  it("is not kept when it could not be used", () => {
    const bench = new ReductionBench({ train: 2, evaluate: 1 });
    bench.open("train", 1, 2, true);
    bench.send("a", root(2), end);
    expect(bench.tail(true)).toBeUndefined();
    expect(bench.tail()).toBeUndefined();
    bench.send("a", root(2));
    bench.fold("a", root(2));
    expect(bench.reduction.totalFrom(floats).usedFrom).toBeUndefined();
  });

  it.for(["arriving", "folded"] as const)(
    "is of what lies in workers' memory too, once that was looked at (%s)",
    (state) => {
      const [left, right] = leaves(2) as [Leaf, Leaf];
      for (const damaged of [false, true]) {
        const bench = new ReductionBench({ train: 2, evaluate: 1 });
        bench.open("train", 1, 2, true, 2);
        bench.place("a", left, { damaged });
        if (state === "folded") bench.fold("a", left);
        bench.send("b", right, end);
        const wanted = bitsOf(bench.sumOver()).subarray(SEGMENT_BYTES);
        expect(bench.tail()?.bits.equals(wanted)).toBe(damaged ? undefined : true);
        bench.send("b", right);
        if (state === "arriving") bench.fold("a", left);
        bench.fold("b", right);
        expect(bench.culprits(true)).toBe(damaged ? "a" : "");
      }
    },
  );

  it("is not used where sums are compared, nor in an evaluation", () => {
    const bench = new ReductionBench({ train: 2, evaluate: 1 });
    const [left, right] = leaves(2) as [Leaf, Leaf];
    bench.open("train", 0, 2, false, 2);
    bench.send("a", left, end);
    bench.send("b", right, end);
    expect(bench.tail()).toBeUndefined();
    bench.open("evaluate", 1, 1, true);
    bench.send("a", root(1), { segments: 0 });
    expect(bench.tail()).toBeUndefined();
  });
});
