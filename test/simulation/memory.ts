/**
 * Watches every buffer pool: a buffer that is given back twice, or that is still in use where none may be, is a fault. The
 * pool's methods are wrapped for the whole test process; the process whose code runs owns the buffer.
 */
import { BufferPool } from "../../shared/memory/buffers.ts";
import { SimulatedProcess } from "./process.ts";

const acquire = Reflect.get(BufferPool.prototype, "acquire");
const release = Reflect.get(BufferPool.prototype, "release");

function inUse(pool: BufferPool): Set<number> {
  const { buffers } = SimulatedProcess.running!;
  let set = buffers.get(pool);
  if (set === undefined) {
    set = new Set();
    buffers.set(pool, set);
  }
  return set;
}

BufferPool.prototype.acquire = function (prefer): number | undefined {
  const buffer = acquire.call(this, prefer);
  if (buffer !== undefined) inUse(this).add(buffer);
  return buffer;
};

BufferPool.prototype.release = function (buffer): void {
  if (inUse(this).delete(buffer)) {
    release.call(this, buffer);
    return;
  }
  const { name, world } = SimulatedProcess.running!;
  world.fail(new Error(`${name} gives buffer ${buffer} back although it is not in use`));
};

/** Buffers that a process has taken and not given back. */
export const buffersInUse = ({ buffers }: SimulatedProcess): number =>
  [...buffers.values()].reduce((sum, { size }) => sum + size, 0);
