import { expect, it } from "vitest";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import {
  BLOCK_FLOATS as BLOCK,
  blocksIn,
  blockwiseChecksum,
  checksumTerm,
  inspect,
  RunningChecksum,
} from "../../shared/memory/blocks.ts";

const count = 2 * BLOCK + 16;
const arena = new Arena(4 * count);
const kernels = instantiateKernels(arena.memory);
const offset = arena.allocate(4 * count);
const floats = arena.floats(offset, count);
floats.forEach((_, index) => (floats[index] = Math.sin(index)));

it.each([0, BLOCK - 1, BLOCK, count - 1])("a changed bit of float %i changes the checksum", (index) => {
  const before = blockwiseChecksum(kernels, offset, 4 * count);
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, count);
  bits[index]! ^= 1;
  expect(blockwiseChecksum(kernels, offset, 4 * count)).not.toBe(before);
  bits[index]! ^= 1;
  expect(blockwiseChecksum(kernels, offset, 4 * count)).toBe(before);
});

it("blocks in another order have another checksum", () => {
  const before = blockwiseChecksum(kernels, offset, 8 * BLOCK);
  const first = floats.slice(0, BLOCK);
  floats.copyWithin(0, BLOCK, 2 * BLOCK);
  floats.set(first, BLOCK);
  expect(blockwiseChecksum(kernels, offset, 8 * BLOCK)).not.toBe(before);
});

it("the terms of blocks, found in any order, add up to the checksum", () => {
  const terms = Array.from({ length: blocksIn(count) }, (_, block) => checksumTerm(kernels, offset, count, block));
  expect(terms).toHaveLength(3);
  const sum = terms.toReversed().reduce((total, term) => (total + term) >>> 0, 0);
  expect(sum).toBe(blockwiseChecksum(kernels, offset, 4 * count));
});

it("is the same however the bytes come, and looks at each block when that has come", () => {
  const before = blockwiseChecksum(kernels, offset, 4 * count);
  for (const steps of [[], [0], [64, 4 * BLOCK - 64, 4 * BLOCK], [8 * BLOCK, 8 * BLOCK], [4 * BLOCK + 64, 4 * count]]) {
    const running = new RunningChecksum(kernels, offset, 4 * count);
    for (const bytes of steps) running.reach(bytes);
    expect(running.value).toBe(before);
    expect(running.value).toBe(before);
  }
  for (const [bytes, isSeen] of [
    [4 * BLOCK - 64, false],
    [4 * BLOCK, true],
  ] as const) {
    const running = new RunningChecksum(kernels, offset, 4 * count);
    running.reach(bytes);
    floats[0]! += 1;
    expect(running.value === before).toBe(isSeen);
    floats[0]! -= 1;
  }
});

it.each([0, BLOCK, count - 1])("one look finds float %i that is not finite, and gives the same checksum", (index) => {
  const checksum = blockwiseChecksum(kernels, offset, 4 * count);
  expect(inspect(kernels, offset, 4 * count)).toEqual({ checksum, isFinite: true });
  const before = floats[index]!;
  floats[index] = Number.NaN;
  expect(inspect(kernels, offset, 4 * count).isFinite).toBe(false);
  floats[index] = before;
});
