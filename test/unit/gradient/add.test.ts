import { expect, it } from "vitest";
import { addAlongTree, addAndCheck } from "../../../shared/gradient/add.ts";
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { BLOCK_FLOATS, blockwiseChecksum } from "../../../shared/memory/blocks.ts";
import { someNumbers, treeSum } from "../../support/programs.ts";

const count = 2 * BLOCK_FLOATS + 16;

it.each([1, 2, 3, 4, 5, 7, 8, 13])(
  "%i vectors are added along the canonical tree, and checked in the same pass",
  (terms) => {
    const room = new Arena(terms * (4 * count + 64));
    const own = instantiateKernels(room.memory);
    const offsets = Array.from({ length: terms }, () => room.allocate(4 * count));
    const vectors = offsets.map((_, term) => someNumbers(count, term + 1));
    const lay = (): void => offsets.forEach((at, term) => room.floats(at, count).set(vectors[term]!));
    lay();
    addAlongTree(own, offsets, 4 * count);
    expect(room.floats(offsets[0]!, count)).toEqual(treeSum(vectors));
    lay();
    const checksum = addAndCheck(own, offsets, 4 * count);
    expect(room.floats(offsets[0]!, count)).toEqual(treeSum(vectors));
    expect(checksum).toBe(blockwiseChecksum(own, offsets[0]!, 4 * count));
  },
);
