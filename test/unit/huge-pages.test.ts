/** Which memory asks for huge pages, and which has them, as the system tells it. */
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { expect, it, onTestFinished } from "vitest";
import { Crew, CREW_BYTES } from "../../coordinator/crew/crew.ts";
import { ParameterStore, parameterBytes } from "../../coordinator/parameters.ts";
import { SharedMemory, sharedBytes } from "../../coordinator/shared-memory.ts";
import { ComputeMemory } from "../../shared/compute/memory.ts";
import { partialLayouts, vectorBytes } from "../../shared/gradient/partial.ts";
import { runId, workerId } from "../../shared/ids.ts";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { placedBytes } from "../../shared/memory/host-memory.ts";
import { HUGE_PAGE } from "../../shared/memory/huge-pages.ts";
import { operatingSystem } from "../../shared/memory/system.ts";

/** Regions of this process that are to have huge pages where that is possible. */
const regions = (): number => readFileSync("/proc/self/smaps", "utf8").match(/^VmFlags:.* hg( |$)/gm)?.length ?? 0;

/** Whether the system knows such pages, and says who wants them. */
const hasHugePages = operatingSystem() !== undefined && existsSync("/sys/kernel/mm/transparent_hugepage/enabled");

it.runIf(hasHugePages)("is asked for where memory is large, and small memory is left as it is", () => {
  const before = regions();
  const small = new Arena(4 << 20);
  expect(regions()).toBe(before);
  const large = new Arena(16 << 20);
  expect(regions()).toBeGreaterThan(before);
  expect(small.memory.buffer.byteLength).toBeLessThan(large.memory.buffer.byteLength);
});

/** Whether the system moves files in memory into such pages when it is told to: Linux from 6.1 on, where it is not forbidden. */
function gathersFiles(): boolean {
  const [major, minor] = release().split(".").map(Number) as [number, number];
  const policy = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
  const isNew = major > 6 || (major === 6 && minor >= 1);
  return (
    operatingSystem() !== undefined && isNew && existsSync(policy) && !/\[deny\]/.test(readFileSync(policy, "utf8"))
  );
}

/** Bytes of shared files that this process reaches through huge pages. */
const inHugePages = (): number =>
  [...readFileSync("/proc/self/smaps", "utf8").matchAll(/^ShmemPmdMapped: +(\d+) kB$/gm)].reduce(
    (sum, [, kilobytes]) => sum + 1024 * Number(kilobytes),
    0,
  );

it.runIf(gathersFiles())("are what a coordinator and a worker share, in both, wherever their arenas begin", () => {
  const floats = HUGE_PAGE;
  const layouts = partialLayouts([{ name: "0.weight", shape: [floats] }], ["loss"]);
  const { parameters } = layouts;
  const optimizer = { spec: { kind: "sgd", learningRate: 0.5 }, surroundings: { layout: parameters } } as const;
  const partialBytes = vectorBytes(layouts.partial.train);
  const room = 2 * placedBytes(partialBytes);
  const before = inHugePages();

  const arena = new Arena(CREW_BYTES + parameterBytes(parameters, optimizer) + sharedBytes(partialBytes, room));
  const kernels = instantiateKernels(arena.memory);
  const store = new ParameterStore(arena, kernels, parameters, new Crew(arena, kernels, optimizer), () => 0.5);
  const file = store.share()!;
  const memory = new SharedMemory(arena, file, partialBytes, room);
  const offer = memory.offer(workerId("w1"), { onFrame: () => {}, onViolation: () => {} })!;
  const worker = new ComputeMemory(layouts, 8);
  expect(worker.share(runId("run"), offer)).toBe(true);
  onTestFinished(() => {
    worker.unshare();
    memory.forget(workerId("w1"));
    file.close();
  });

  // All of it is used: a page is not counted before.
  const isAll = (bytes: Uint8Array, byte: number): boolean => bytes.every((each) => each === byte);
  store.bytes.fill(3);
  expect(isAll(worker.parametersOf(0), 3)).toBe(true);
  expect(isAll(worker.parametersOf(1), 0)).toBe(true);
  const [slot] = worker.acquire("train", 1) as [number];
  const { position } = worker.placeOf("train", slot)!;
  const slots = worker.arena.bytes(slot - position, placedBytes(partialBytes)).fill(5);
  expect(isAll(arena.bytes(memory.placeOf(workerId("w1"), 0)!, slots.length), 5)).toBe(true);
  const files = 2 * 4 * floats + slots.length;
  expect(inHugePages() - before).toBe(2 * files);
});
