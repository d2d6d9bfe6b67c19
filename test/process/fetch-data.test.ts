/** Workers without the data get it from the coordinator: checked, kept, and in spite of cuts; nobody else gets anything. */
import { chmod, mkdir, readdir, readFile, rename, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";
import { proxyBefore } from "../support/proxy.ts";

const secret = "correct-horse-battery-staple";
const environment = { LOCKSTEP_TOKEN: secret };

interface Place {
  readonly coordinator: Lockstep;
  readonly url: string;
  /** The hash of an undisturbed run. */
  readonly hash: string;
  readonly cache: string;
  /** A worker that finds no data but in `cache`. */
  readonly start: (name: string, url: string) => Lockstep;
}

/** A coordinator whose data lies nowhere any more; of the training samples a share is held out. */
async function place(minWorkers = 1, more = ""): Promise<Place> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 3_000, 500);
  await writeFile(
    join(folder, "job.yaml"),
    `{ data: { idx: digits }, validation: 0.1, epochs: 2, minWorkers: ${minWorkers}${more} }`,
  );
  const flags = ["job.yaml", ...asEvents];
  const whole = lockstep(["train", ...flags, "--name", "whole"], folder);
  const hash = (await whole.result()).parametersSha256;
  const coordinator = lockstep(["coordinator", ...flags, "--name", "served"], folder, environment);
  const { url } = await coordinator.event("listening");
  await rename(join(folder, "digits"), join(folder, "gone"));
  const cache = join(folder, "cache");
  const start = (name: string, at: string): Lockstep =>
    worker([at, "--name", name], { ...environment, LOCKSTEP_CACHE: cache });
  return { coordinator, url, hash, cache, start };
}

test("a worker fetches what it lacks, goes on after cuts, and the next one finds it", async () => {
  const { coordinator, url, hash, cache, start } = await place(2, ", dataMemory: 0");
  const taken = new Map<number, number>();
  const { url: through, requests } = await proxyBefore(url, (chunk, download) => {
    const bytes = (taken.get(download) ?? 0) + chunk.length;
    taken.set(download, bytes);
    return bytes > 900_000 ? undefined : chunk;
  });
  const first = start("first", through);
  await coordinator.event("worker-joined");
  const names = await readdir(join(cache, "data"));
  expect(names).toHaveLength(3);
  for (const name of names) expect(name).toMatch(/^[0-9a-f]{64}$/);
  expect(requests).toContain(`GET /data/${(await coordinator.event("data")).sha256} HTTP/1.1`);
  // 2.4 MB of training images in pieces of less than 0.9 MB, each from where the one before was cut.
  const starts = requests.flatMap((line) => /bytes=(\d+)-$/.exec(line)?.[1] ?? []).map(Number);
  expect(starts.length).toBeGreaterThanOrEqual(2);
  expect(starts.toSorted((a, b) => a - b)).toEqual(starts);
  const before = requests.length;
  const second = start("second", through);
  await coordinator.event("worker-joined", ({ worker }) => worker === "second");
  expect((await coordinator.result()).parametersSha256).toBe(hash);
  for (const each of [first, second]) expect((await each.finished).code).toBe(0);
  expect(requests).toHaveLength(before);
});

test("what lies in the way of fetched data is named, with what to do", async () => {
  const { coordinator, url, cache, start } = await place();
  await mkdir(join(cache, "data", (await coordinator.event("data")).sha256), { recursive: true });
  const { code, error } = await start("blocked", url).finished;
  expect(code).toBe(1);
  expect(error).toMatch(/cannot keep fetched data in .*[0-9a-f]{64}: EISDIR \[DISK_FAILED\]\n.*LOCKSTEP_CACHE/);
});

test("after a cut, what comes from its beginning is written anew", async () => {
  const { coordinator, url, hash, start } = await place();
  let taken = 0;
  let isCut = false;
  const { url: through, requests } = await proxyBefore(
    url,
    (chunk) => {
      taken += chunk.length;
      if (isCut || taken < 900_000) return chunk;
      isCut = true;
      return undefined;
    },
    // The coordinator is asked for everything.
    (request) => request.replace(/^range: /im, "another: "),
  );
  const fetching = start("fetching", through);
  expect((await fetching.finished).code).toBe(0);
  expect((await coordinator.result()).parametersSha256).toBe(hash);
  expect(requests.filter((line) => line.includes("bytes="))).toHaveLength(1);
});

test("a download to which nobody has added for a day is deleted, and no other", async () => {
  const { coordinator, url, cache, start } = await place();
  const folder = join(cache, "data");
  await mkdir(folder, { recursive: true });
  for (const [name, hours] of [
    ["old.part", 25],
    ["young.part", 23],
  ] as const) {
    await writeFile(join(folder, name), "");
    const written = new Date(Date.now() - hours * 3_600_000);
    await utimes(join(folder, name), written, written);
  }
  const tidy = start("tidy", url);
  await coordinator.result();
  expect((await tidy.finished).code).toBe(0);
  expect((await readdir(folder)).filter((name) => name.endsWith(".part"))).toEqual(["young.part"]);
});

test("data that was changed on the way, or in the cache, is not used", async () => {
  const { coordinator, url, hash, cache, start } = await place();
  const { url: liar } = await proxyBefore(url, (chunk) => {
    const spoiled = Buffer.from(chunk);
    if (chunk.length > 10_000) spoiled[9_000]! ^= 1;
    return spoiled;
  });
  const deceived = await start("deceived", liar).finished;
  expect(deceived.code).toBe(1);
  expect(deceived.stderr).toMatch(/sent as data is not what the run trains on.*\[DATA_MISMATCH\]\n {2}what to do: /);
  expect((await readdir(join(cache, "data"))).filter((name) => name.endsWith(".part"))).toEqual([]);

  const honest = start("honest", url);
  await coordinator.event("worker-joined");
  expect((await coordinator.result()).parametersSha256).toBe(hash);
  expect((await honest.finished).code).toBe(0);

  const again = await place();
  for (const name of await readdir(join(cache, "data"))) {
    const path = join(cache, "data", name);
    const bytes = await readFile(path);
    bytes[bytes.length - 3]! ^= 1;
    await writeFile(path, bytes);
  }
  const careful = worker([again.url, "--name", "careful"], { ...environment, LOCKSTEP_CACHE: cache });
  expect((await again.coordinator.result()).parametersSha256).toBe(hash);
  const { stdout } = await careful.finished;
  expect(stdout.match(/it is fetched again/g)).toHaveLength(3);
});

test("who lacks the token gets no data, and nobody a file; what never comes is said", async () => {
  const { coordinator, url, start } = await place();
  const { url: mute, requests } = await proxyBefore(url, () => undefined);
  const starved = start("starved", mute);
  const { sha256 } = await coordinator.event("data");
  const address = url.replace("ws", "http");
  expect((await fetch(`${address}/data/${sha256}`)).status).toBe(401);
  const headers = { authorization: `Bearer ${secret}` };
  const names = await (await fetch(`${address}/data/${sha256}`, { headers })).text();
  const [, train] = /^train ([0-9a-f]{64})\ntest [0-9a-f]{64}\n$/.exec(names)!;
  const whole = (await (await fetch(`${address}/data/${train}`, { headers })).bytes()).length;
  expect(whole).toBeGreaterThan(100);
  for (const [range, status, length] of [
    ["bytes=100-", 206, whole - 100],
    ["bytes=99999999-", 416, 0],
    ["bytes=0-5", 200, whole],
  ] as const) {
    const answer = await fetch(`${address}/data/${train}`, { headers: { ...headers, range } });
    expect(answer.status).toBe(status);
    expect(await answer.bytes()).toHaveLength(length);
  }
  for (const path of ["..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "0".repeat(64), "train-images-idx3-ubyte", ""])
    expect((await fetch(`${address}/data/${path}`, { headers })).status, path).toBe(404);

  expect((await starved.finished).stderr).toMatch(
    /the run's data cannot be fetched from the coordinator.*\[DATA_MISSING\]\n {2}what to do: /,
  );
  expect(requests).toHaveLength(6);
});

test("a cache that cannot be written is said with what to do", async () => {
  const { url, cache, start } = await place();
  await writeFile(cache, "a file where a folder should be");
  await chmod(cache, 0o400);
  const { code, stderr } = await start("homeless", url).finished;
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /cannot keep fetched data in .*cache\/data: .* \[DISK_FAILED\]\n {2}what to do: .*LOCKSTEP_CACHE/,
  );
});
