import { describe, expect, it } from "vitest";
import { createHash } from "node:crypto";
import { alignedFrom, Arena } from "../../shared/memory/arena.ts";
import { layoutOf, parametersSha256, slotView } from "../../shared/memory/layout.ts";

describe("Arena", () => {
  it("hands out zeroed regions on 64-byte boundaries that don't overlap, behind the kernels' page", () => {
    const arena = new Arena(1000);
    const sizes = [4, 64, 65, 1, 0, 300];
    let end = 65_536;
    for (const size of sizes) {
      const offset = arena.allocate(size);
      expect(offset % 64).toBe(0);
      expect(offset).toBeGreaterThanOrEqual(end);
      expect(arena.bytes(offset, size).every((byte) => byte === 0)).toBe(true);
      arena.bytes(offset, size).fill(255);
      end = offset + size;
    }
  });

  it("aligns addresses, wherever the system has put its first byte", () => {
    expect(alignedFrom(65_536, 64, 4096)).toBe(65_536);
    expect(alignedFrom(65_537, 64, 2 ** 46 + 4096)).toBe(65_600);
    const offset = alignedFrom(65_536, 2 << 20, 2 ** 46 + 3 * 65_536);
    expect(offset).toBe((2 << 20) - 3 * 65_536);
    expect(alignedFrom(offset, 2 << 20, 2 ** 46 + 3 * 65_536)).toBe(offset);
  });

  it("gives views of one shared memory", () => {
    const arena = new Arena(64);
    const offset = arena.allocate(64);
    arena.floats(offset, 16)[3] = 1;
    expect([...arena.bytes(offset + 12, 4)]).toEqual([0, 0, 0x80, 0x3f]);
    expect(arena.memory.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it("holds what it was made for and refuses more", () => {
    const arena = new Arena(65_536);
    arena.allocate(65_536);
    expect(() => arena.allocate(1)).toThrow("1 bytes don't fit: 0 of the arena's bytes are left");
    expect(() => new Arena(65_536).allocate(Number.NaN)).toThrow(RangeError);
  });

  it("refuses what 32-bit addresses can't reach", () => {
    expect(() => new Arena(2 ** 32)).toThrow("4.00 GiB");
  });
});

describe("layoutOf", () => {
  const tensors = [
    { name: "0.weight", shape: [3, 7] },
    { name: "0.bias", shape: [3] },
    { name: "temperature", shape: [] },
    { name: "2.weight", shape: [4, 4] },
  ];

  it("starts each tensor on the next boundary of 16 floats", () => {
    const layout = layoutOf(tensors);
    expect(layout.slots.map(({ offset, length }) => [offset, length])).toEqual([
      [0, 21],
      [32, 3],
      [48, 1],
      [64, 16],
    ]);
    expect(layout.size).toBe(80);
  });

  it("hashes names, shapes and order", () => {
    const { hash } = layoutOf(tensors);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(layoutOf(tensors).hash).toBe(hash);
    expect(layoutOf(tensors.toReversed()).hash).not.toBe(hash);
    expect(layoutOf(tensors.with(0, { name: "0.weight", shape: [7, 3] })).hash).not.toBe(hash);
    expect(layoutOf(tensors.with(0, { name: "1.weight", shape: [3, 7] })).hash).not.toBe(hash);
  });

  it("refuses a name given twice and a dimension that is no positive integer", () => {
    expect(() => layoutOf([...tensors, { name: "0.bias", shape: [1] }])).toThrow('two tensors are named "0.bias"');
    for (const dimension of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
      expect(() => layoutOf([{ name: "w", shape: [2, dimension] }])).toThrow(`"w" has the shape [2, ${dimension}]`);
    }
  });

  it("views a tensor's floats in place", () => {
    const layout = layoutOf(tensors);
    const vector = Float32Array.from({ length: layout.size }, (_, index) => index);
    const bias = slotView(layout, "0.bias", vector);
    expect([...bias]).toEqual([32, 33, 34]);
    bias[0] = -1;
    expect(vector[32]).toBe(-1);
    expect(() => slotView(layout, "0.scale", vector)).toThrow('no tensor "0.scale"');
  });
});

describe("parametersSha256", () => {
  const layout = layoutOf([
    { name: "a", shape: [2] },
    { name: "b", shape: [1] },
  ]);

  it("is SHA-256 of the tensors' little-endian bytes, whatever the padding and the vector's place hold", () => {
    const arena = new Arena(1024);
    const vector = arena.floats(arena.allocate(256) + 64, layout.size).fill(9);
    vector.set([1, -2], 0);
    vector.set([0.5], 16);
    const bytes = Buffer.from("0000803f000000c00000003f", "hex");
    expect(parametersSha256(layout, vector)).toBe(createHash("sha256").update(bytes).digest("hex"));
  });

  it("changes with the last bit of any parameter", () => {
    const vector = new Float32Array(layout.size);
    const before = parametersSha256(layout, vector);
    vector[16] = 2 ** -149;
    expect(parametersSha256(layout, vector)).not.toBe(before);
  });
});
