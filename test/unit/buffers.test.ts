/** Equal regions of an arena, alone and several together. */
import { expect, it } from "vitest";
import { Arena } from "../../shared/memory/arena.ts";
import { BufferPool } from "../../shared/memory/buffers.ts";

const BYTES = 64;
const poolOf = (count: number, given: number): { pool: BufferPool; slots: readonly number[] } => {
  const arena = new Arena((count + given) * BYTES);
  const slots = Array.from({ length: given }, () => arena.allocate(BYTES));
  return { pool: new BufferPool(arena, BYTES, count, slots), slots };
};

it("hands out those given first, then its own, each once until it is released", () => {
  const { pool, slots } = poolOf(2, 1);
  const acquired = [pool.acquire(), pool.acquire(), pool.acquire()];
  expect(acquired[0]).toBe(slots[0]);
  expect(new Set(acquired).size).toBe(3);
  expect(pool.acquire()).toBeUndefined();
  pool.release(acquired[2]!);
  pool.release(slots[0]!);
  expect([pool.acquire(), pool.acquire()]).toEqual([slots[0], acquired[2]]);
});

it("hands out several together: of those given only the first, while there are others", () => {
  const { pool, slots } = poolOf(3, 3);
  const [first, ...others] = pool.acquireTogether(3)!;
  expect(slots).toContain(first);
  for (const other of others) expect(slots).not.toContain(other);
  expect(slots).toContain(pool.acquire());
  expect(pool.acquireTogether(2)).toHaveLength(2);
});

it("hands out all of several or none", () => {
  const { pool } = poolOf(2, 1);
  expect(pool.acquireTogether(4)).toBeUndefined();
  const all = pool.acquireTogether(3)!;
  expect(new Set(all).size).toBe(3);
  expect(pool.acquireTogether(1)).toBeUndefined();
  for (const each of all) pool.release(each);
  expect(new Set(pool.acquireTogether(3))).toEqual(new Set(all));
});

it("hands a buffer of several users out again once the last of them has released it", () => {
  const { pool } = poolOf(1, 0);
  const buffer = pool.acquire()!;
  pool.share(buffer);
  pool.share(buffer);
  for (let user = 0; user < 3; user++) {
    expect(pool.acquire()).toBeUndefined();
    pool.release(buffer);
  }
  expect(pool.acquire()).toBe(buffer);
  expect(pool.acquire()).toBeUndefined();
});
