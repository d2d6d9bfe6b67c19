/**
 * Watches every buffer pool: a buffer that is given back twice, or that is still in use where none may be, is a fault. The
 * pool's methods are wrapped for the whole test process; the process whose code runs owns the buffer.
 */
import { BufferPool } from "../../shared/memory/buffers.ts";
import { SimulatedProcess } from "./process.ts";

const acquire = Reflect.get(BufferPool.prototype, "acquire");
const share = Reflect.get(BufferPool.prototype, "share");
const release = Reflect.get(BufferPool.prototype, "release");

/** Of each buffer of a pool that is in use, how many users it has. */
function usersIn(pool: BufferPool): Map<number, number> {
  const { buffers } = SimulatedProcess.running!;
  let users = buffers.get(pool);
  if (users === undefined) {
    users = new Map();
    buffers.set(pool, users);
  }
  return users;
}

/** One user more of a buffer, or one less. */
function change(pool: BufferPool, buffer: number, by: 1 | -1): void {
  const users = usersIn(pool);
  const left = (users.get(buffer) ?? 0) + by;
  if (left === 0) users.delete(buffer);
  else users.set(buffer, left);
}

const mustBeInUse = (pool: BufferPool, buffer: number, what: string): boolean => {
  if (usersIn(pool).has(buffer)) return true;
  const { name, world } = SimulatedProcess.running!;
  world.fail(new Error(`${name} ${what} buffer ${buffer} although it is not in use`));
  return false;
};

BufferPool.prototype.acquire = function (prefer): number | undefined {
  const buffer = acquire.call(this, prefer);
  if (buffer !== undefined) change(this, buffer, 1);
  return buffer;
};

BufferPool.prototype.share = function (buffer): void {
  if (!mustBeInUse(this, buffer, "shares")) return;
  change(this, buffer, 1);
  share.call(this, buffer);
};

BufferPool.prototype.release = function (buffer): void {
  if (!mustBeInUse(this, buffer, "gives back")) return;
  change(this, buffer, -1);
  release.call(this, buffer);
};

/** Users of buffers that a process has taken and not given back. */
export const buffersInUse = ({ buffers }: SimulatedProcess): number =>
  [...buffers.values()].flatMap((users) => [...users.values()]).reduce((sum, count) => sum + count, 0);
