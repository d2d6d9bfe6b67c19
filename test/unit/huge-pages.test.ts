/** Which memory asks for huge pages, and which has them, as the system tells it. */
import { closeSync, existsSync, openSync, readFileSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Crew, CREW_BYTES } from "../../coordinator/crew/crew.ts";
import { ParameterStore, parameterBytes } from "../../coordinator/exchange/parameters.ts";
import { SharedMemory, sharedBytes } from "../../coordinator/exchange/shared-memory.ts";
import { ComputeMemory } from "../../shared/compute/memory.ts";
import { readShared } from "../../shared/data/idx.ts";
import { partialLayouts, vectorBytes } from "../../shared/gradient/partial.ts";
import { runId, workerId } from "../../shared/ids.ts";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { placedBytes } from "../../shared/memory/host-memory.ts";
import { HUGE_PAGE } from "../../shared/memory/huge-pages.ts";
import { HOST_PAGE, operatingSystem } from "../../shared/system.ts";

const system = operatingSystem();

/** What the system tells of regions of this memory, and how much of it each is: of other memory the collector may take some at any time. */
function regionsOf(memory: Uint8Array): { bytes: number; told: string }[] {
  const begin = system!.addressOf(memory);
  const end = begin + BigInt(memory.length);
  const smaps = readFileSync("/proc/self/smaps", "utf8");
  return [...smaps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) ([^]*?^VmFlags:.*)$/gm)].flatMap(([, from, to, told]) => {
    const [first, behind] = [BigInt(`0x${from}`), BigInt(`0x${to}`)];
    const bytes = Number((behind < end ? behind : end) - (first > begin ? first : begin));
    return bytes > 0 ? [{ bytes, told: told! }] : [];
  });
}

/** How many of these bytes are to have huge pages where that is possible. */
const asking = (memory: Uint8Array): number =>
  regionsOf(memory).reduce((sum, { bytes, told }) => (/^VmFlags:.* hg\b/m.test(told) ? sum + bytes : sum), 0);

/** How many of these bytes, in shared files laid over them, are reached through huge pages. */
const inHugePages = (memory: Uint8Array): number =>
  regionsOf(memory).reduce((sum, { told }) => sum + 1024 * Number(/^ShmemPmdMapped: +(\d+) kB$/m.exec(told)![1]), 0);

const bytesOf = (arena: Arena): Uint8Array => new Uint8Array(arena.memory.buffer);

/** Whether the system knows such pages, and says who wants them. */
const hasHugePages = system !== undefined && existsSync("/sys/kernel/mm/transparent_hugepage/enabled");

it.runIf(hasHugePages)("is asked for where memory is large, and small memory is left as it is", () => {
  const small = new Arena(4 << 20);
  expect(asking(bytesOf(small))).toBe(0);
  const large = new Arena(16 << 20);
  expect(asking(bytesOf(large))).toBeGreaterThanOrEqual(large.memory.buffer.byteLength - HOST_PAGE);
});

it.runIf(hasHugePages)("is asked for what a large file of data is read into, which begins within a page", async () => {
  const path = join(tmpdir(), `lockstep-test-${process.pid}`);
  onTestFinished(() => unlinkSync(path));
  writeFileSync(path, new Uint8Array(16 << 20).fill(7));
  const { bytes } = await readShared(path);
  expect(bytes.length).toBe(16 << 20);
  expect(asking(bytes)).toBeGreaterThan((16 << 20) - 2 * HOST_PAGE);
});

/** Whether the system moves a file in memory into such pages when it is told to: Linux from 6.1 on, where it is not forbidden. */
function gathersFiles(): boolean {
  const size = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
  if (system === undefined || !existsSync(size) || Number(readFileSync(size, "utf8")) !== HUGE_PAGE) return false;
  const path = `/dev/shm/lockstep-test-${process.pid}`;
  const descriptor = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  writeSync(descriptor, new Uint8Array(HUGE_PAGE));
  const { buffer } = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
  const start = -system.addressOf(new Uint8Array(buffer)) & BigInt(HUGE_PAGE - 1);
  const page = new Uint8Array(buffer, Number(start), HUGE_PAGE);
  const [readable, sharedAndFixed, collapse] = [1, 0x11, 25];
  system.mmap(page, HUGE_PAGE, readable, sharedAndFixed, descriptor, 0);
  const refused = system.madvise(page, HUGE_PAGE, collapse);
  closeSync(descriptor);
  return refused === 0;
}

it.runIf(gathersFiles())("are what a coordinator and a worker share, in both, wherever their arenas begin", () => {
  const floats = HUGE_PAGE / 4;
  const layouts = partialLayouts([{ name: "0.weight", shape: [floats] }], ["loss"]);
  const { parameters } = layouts;
  const optimizer = { spec: { kind: "sgd", learningRate: 0.5 }, surroundings: { layout: parameters } } as const;
  const partialBytes = vectorBytes(layouts.partial.train);
  const room = HUGE_PAGE + placedBytes(partialBytes);

  const arena = new Arena(CREW_BYTES + parameterBytes(parameters, optimizer) + sharedBytes(partialBytes, room));
  const kernels = instantiateKernels(arena.memory);
  const store = new ParameterStore(arena, kernels, parameters, new Crew(arena, kernels, optimizer), () => 0.5);
  const file = store.share()!;
  const memory = new SharedMemory(arena, file, partialBytes, room);
  const worker = new ComputeMemory(layouts, 8);
  onTestFinished(() => {
    worker.unshare();
    memory.forget(workerId("w1"));
    file.close();
  });
  const asked = [arena, worker.arena].map((each) => asking(bytesOf(each)));
  const offer = memory.offer(workerId("w1"), { onFrame: () => {}, onViolation: () => {} });
  expect(worker.share(runId("run"), offer)).toBe(true);

  // Pages count when they have been used: all but the second block of the coordinator's, which is for the next step.
  const isAll = (bytes: Uint8Array, byte: number): boolean => bytes.every((each) => each === byte);
  store.bytes.fill(3);
  expect(isAll(worker.parametersOf(0), 3)).toBe(true);
  expect(isAll(worker.parametersOf(1), 0)).toBe(true);
  const [slot] = worker.acquire("train", 1) as [number];
  const { position } = worker.placeOf("train", slot)!;
  const slots = worker.arena.bytes(slot - position, placedBytes(partialBytes)).fill(5);
  expect(isAll(arena.bytes(memory.placeOf(workerId("w1"), 0)!, slots.length), 5)).toBe(true);
  const reached = [arena, worker.arena].map((each) => inHugePages(bytesOf(each)));
  expect(reached).toEqual([4 * floats + slots.length, 2 * 4 * floats + slots.length]);

  worker.unshare();
  // The worker's own memory asks again; the coordinator's still has the worker's slots.
  const now = [arena, worker.arena].map((each) => asking(bytesOf(each)));
  expect(now.map((bytes, index) => bytes - asked[index]!)).toEqual([-slots.length, 0]);
});
