/** Memory shared between real processes, and what is not taken for it. Linux only, as the memory itself. */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, statSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SharedMemory, sharedBytes } from "../../coordinator/exchange/shared-memory.ts";
import { workerId } from "../../shared/ids.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { HostFile, pageFor, regionIn, roomFor, wholePages } from "../../shared/memory/host-memory.ts";
import type { HostFileName } from "../../shared/memory/host-memory.ts";
import { HOST_PAGE, operatingSystem } from "../../shared/system.ts";
import { hasLimits, lowerFileLimit } from "../support/file-limit.ts";
import { openFiles } from "../support/open-files.ts";

const system = operatingSystem();

const moduleUrl = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** Runs code in another process, with `arena`, `HostFile` and `name`; returns what it printed. */
function elsewhere(name: HostFileName, code: string): string {
  const program = `
    const { HostFile } = await import(${moduleUrl("../../shared/memory/host-memory.ts")});
    const { HOST_PAGE } = await import(${moduleUrl("../../shared/system.ts")});
    const { Arena } = await import(${moduleUrl("../../shared/memory/arena.ts")});
    const name = ${JSON.stringify(name)};
    const arena = new Arena(4 * HOST_PAGE);
    const region = arena.allocate(2 * HOST_PAGE, HOST_PAGE);
    ${code}`;
  const { stdout, stderr, signal } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
  });
  return `${stdout}${stderr}${signal ?? ""}`.trim();
}

function created(): { file: HostFile; arena: Arena; region: number; floats: Float32Array } {
  const file = HostFile.create(2 * HOST_PAGE)!;
  const arena = new Arena(4 * HOST_PAGE);
  const region = arena.allocate(2 * HOST_PAGE, HOST_PAGE);
  file.mapOver(arena, region, 0, 2 * HOST_PAGE, "write");
  return { file, arena, region, floats: arena.floats(region, HOST_PAGE / 2) };
}

describe.skipIf(process.platform !== "linux")("memory of this host", () => {
  it("is the same bytes in two processes, wherever each has it in its arena", () => {
    const { file, floats } = created();
    floats[HOST_PAGE / 4] = 41;
    const printed = elsewhere(
      file.name,
      `const file = HostFile.open(name, "write");
       file.mapOver(arena, region, HOST_PAGE, HOST_PAGE, "write");
       arena.floats(region, 1)[0] += 1;
       console.log(arena.floats(region, 1)[0]);`,
    );
    expect(printed).toBe("42");
    expect(floats[HOST_PAGE / 4]).toBe(42);
    file.close();
  });

  it("that is only to be read ends a process that writes it, and no other", () => {
    const { file, floats } = created();
    const printed = elsewhere(
      file.name,
      `HostFile.open(name, "read").mapOver(arena, region, 0, HOST_PAGE, "read");
       arena.floats(region, 1)[0] = 1;`,
    );
    expect(printed).toContain("SIGSEGV");
    expect(floats[0]).toBe(0);
    file.close();
  });

  it("has no name in a folder, so that nothing stays behind", () => {
    const before = readdirSync("/dev/shm").filter((name) => name.startsWith("lockstep-"));
    const { file } = created();
    expect(readdirSync("/dev/shm").filter((name) => name.startsWith("lockstep-"))).toEqual(before);
    file.close();
  });

  it("is not taken for another's: by its nonce, its size, its path, or after its process is gone", () => {
    const { file } = created();
    const { name } = file;
    expect(HostFile.open({ ...name, nonce: "0".repeat(32) }, "read")).toBeUndefined();
    expect(HostFile.open({ ...name, bytes: HOST_PAGE }, "read")).toBeUndefined();
    expect(HostFile.open({ ...name, path: "/etc/passwd" }, "read")).toBeUndefined();
    expect(HostFile.open({ ...name, path: "/proc/self/fd/../../etc/passwd" }, "read")).toBeUndefined();
    expect(HostFile.open(name, "read")).toBeDefined();
    file.close();
    expect(HostFile.open(name, "read")).toBeUndefined();
  });

  it("is not taken where the path leads to another kind of file", () => {
    const path = join(tmpdir(), `lockstep-other-${process.pid}`);
    const descriptor = openSync(path, "w+");
    const name = { path: `/proc/${process.pid}/fd/${descriptor}`, bytes: HOST_PAGE, nonce: "0".repeat(32) };
    expect(HostFile.open(name, "write")).toBeUndefined();
    closeSync(descriptor);
    unlinkSync(path);
  });

  it.each([HOST_PAGE, (4 << 20) - HOST_PAGE, 4 << 20])(
    "is there, page by page, before it is used: %i bytes",
    (bytes) => {
      const file = HostFile.create(bytes)!;
      const { blocks, size } = statSync(file.name.path);
      expect(size).toBe(bytes + HOST_PAGE);
      expect(512 * blocks).toBe(size);
      file.close();
    },
  );

  it.each([1 << 10, 1 << 20])(
    "is offered to workers from an arena of just the bytes that are reckoned: partials of %i",
    (bytes) => {
      const file = HostFile.create(HOST_PAGE)!;
      const room = 20 << 20;
      const memory = new SharedMemory(new Arena(sharedBytes(bytes, room)), file, bytes, room);
      const listener = { onFrame: () => {}, onViolation: () => {} };
      const workers = [workerId("w1"), workerId("w2")];
      for (const worker of workers) expect(memory.offer(worker, listener)?.partials.bytes).toBe(wholePages(4 * bytes));
      const [first, second] = workers.map((worker) => memory.placeOf(worker, 0)!) as [number, number];
      expect(Math.abs(first - second)).toBeGreaterThanOrEqual(wholePages(4 * bytes));
      for (const worker of workers) memory.forget(worker);
      file.close();
    },
  );

  it.runIf(hasLimits)("is not offered where the system has no pipe left for a worker, and is later", async () => {
    const [bytes, room] = [64, 2 ** 24];
    const file = HostFile.create(HOST_PAGE)!;
    const memory = new SharedMemory(new Arena(sharedBytes(bytes, room)), file, bytes, room);
    let free: number[] = [];
    const restored = await lowerFileLimit(() => {
      // For a file more and half a pipe.
      free = [openSync("/dev/null", "r"), openSync("/dev/null", "r")];
      for (const each of free) closeSync(each);
      return free[1]! + 1;
    }, 0.5);
    const listener = { onFrame: () => {}, onViolation: () => {} };
    expect(memory.offer(workerId("w1"), listener)).toBeUndefined();
    await restored();
    expect(readdirSync("/proc/self/fd").map(Number)).not.toContain(free[0]);
    expect(memory.offer(workerId("w1"), listener)).toBeDefined();
    memory.forget(workerId("w1"));
    file.close();
  });

  it("that a worker has left goes to no other before nobody reads it any more", () => {
    const [bytes, room] = [64, 2 ** 24];
    const file = HostFile.create(HOST_PAGE)!;
    const memory = new SharedMemory(new Arena(sharedBytes(bytes, room)), file, bytes, room);
    const offered = (name: string): number => {
      memory.offer(workerId(name), { onFrame: () => {}, onViolation: () => {} });
      return memory.placeOf(workerId(name), 0)!;
    };
    const first = offered("w1");
    memory.forget(workerId("w1"));
    expect(offered("w2")).not.toBe(first);
    memory.reuse();
    expect(offered("w3")).toBe(first);
    for (const worker of ["w2", "w3"]) memory.forget(workerId(worker));
    file.close();
  });

  it("is closed with all that workers were lent of it, and what is mapped stays", () => {
    const before = openFiles("/dev/shm/lockstep-");
    const { file, floats } = created();
    floats[0] = 7;
    const [bytes, room] = [64, 2 ** 24];
    const memory = new SharedMemory(new Arena(sharedBytes(bytes, room)), file, bytes, room);
    for (const worker of ["w1", "w2"]) memory.offer(workerId(worker), { onFrame: () => {}, onViolation: () => {} });
    expect(openFiles("/dev/shm/lockstep-")).toHaveLength(before.length + 3);
    memory.close();
    expect(openFiles("/dev/shm/lockstep-")).toEqual(before);
    expect(floats[0]).toBe(7);
  });

  it("that is more than there is, is none", () => {
    expect(HostFile.create(2 ** 50)).toBeUndefined();
  });

  it("reads as short after another process has cut it off", () => {
    const { file, floats } = created();
    floats[0] = 7;
    const into = new Uint8Array(HOST_PAGE);
    expect(file.read(into, 0)).toBe(true);
    expect(new Float32Array(into.buffer)[0]).toBe(7);
    elsewhere(file.name, `(await import("node:fs")).truncateSync(name.path, 100);`);
    expect(file.read(into, 0)).toBe(false);
    file.close();
  });

  it("can be given back: the region has memory of its own again", () => {
    const { file, arena, region, floats } = created();
    floats[0] = 3;
    file.unmap(arena, region, 2 * HOST_PAGE);
    expect(floats[0]).toBe(0);
    floats[0] = 5;
    file.mapOver(arena, region, 0, 2 * HOST_PAGE, "write");
    expect(floats[0]).toBe(3);
    file.close();
  });
});

it("takes whole pages: huge ones where it has room for one", () => {
  expect([1, HOST_PAGE, HOST_PAGE + 1].map(wholePages)).toEqual([HOST_PAGE, HOST_PAGE, 2 * HOST_PAGE]);
  expect([(2 << 20) - 1, 2 << 20, (2 << 20) + 1].map(wholePages)).toEqual([2 << 20, 2 << 20, 4 << 20]);
});

it.runIf(system !== undefined)("has room in an arena whose size was reckoned so, whatever lies between", () => {
  const sizes = [HOST_PAGE, 3 << 20, (2 << 20) - 1, HOST_PAGE, (2 << 20) - HOST_PAGE, 5 << 20];
  const arena = new Arena(sizes.reduce((sum, bytes) => sum + roomFor(bytes) + 64, 0));
  for (const bytes of sizes) {
    arena.allocate(64);
    const region = regionIn(arena, bytes);
    expect(Number(system!.addressOf(arena.bytes(region, 1))) % pageFor(bytes)).toBe(0);
  }
});
