/** What runs leave open in the process that they were in, which may go on to others: nothing. As Linux tells. */
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { serveLibrary } from "../../coordinator/dashboard/serve.ts";
import { dense, sequential, train, type TrainConfig } from "../../coordinator/index.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { bytesOf, npyBytes } from "../support/data-files.ts";
import { failureOf } from "../support/errors.ts";
import { temporaryFolder } from "../support/files.ts";
import { openFiles, SPILLED } from "../support/open-files.ts";

/** More values than are held before there is a file for them. */
const [SAMPLES, WIDTH] = [800, 2];

/** How each kind of data is left in files: npy as it lies there, csv as it was read. */
const kinds = {
  async npy(folder) {
    const [features, targets] = [join(folder, "x.npy"), join(folder, "y.npy")];
    const values = (length: number): Uint8Array =>
      bytesOf(Float32Array.from({ length }, (_, index) => Math.sin(index * index)));
    await writeFile(features, npyBytes("<f4", [SAMPLES, WIDTH], values(SAMPLES * WIDTH)));
    await writeFile(targets, npyBytes("<f4", [SAMPLES], values(SAMPLES)));
    return { kind: "npy", features, targets, testFeatures: features, testTargets: targets };
  },
  async csv(folder) {
    const path = join(folder, "data.csv");
    const rows = Array.from({ length: SAMPLES }, (_, row) => `${(row * 7) % 13},${(row * 5) % 11},${row % 9}`);
    await writeFile(path, `${rows.join("\n")}\n`);
    return { kind: "csv", train: path, test: path, target: 2, header: false };
  },
} satisfies Record<string, (folder: string) => Promise<TrainConfig["data"]>>;

/** A run of a few steps, with all its data in files. */
async function place(kind: keyof typeof kinds): Promise<{ folder: string; job: TrainConfig }> {
  const folder = await temporaryFolder();
  const data = await kinds[kind](folder);
  const model = sequential([dense(1)]);
  return {
    folder,
    job: { runs: join(folder, "runs"), data, dataMemory: 0, model, workers: 1, epochs: 1, batch: SAMPLES / 4 },
  };
}

describe.runIf(process.platform === "linux")("in this process", () => {
  test("runs that are over leave no shared memory open, though they had some", async () => {
    const { job } = await place("npy");
    const open = (): string[] => openFiles("/dev/shm/lockstep-");
    const before = open();
    for (const name of ["first", "second"]) {
      let during: string[] = [];
      const onEvent = ({ type }: { type: string }): void => void (type === "listening" && (during = open()));
      expect((await train({ ...job, name }, { onEvent })).outcome).toBe("completed");
      expect(during.length).toBeGreaterThan(before.length);
      expect(open()).toEqual(before);
    }
  });

  test.each(["npy", "csv"] as const)("%s that is read from files is closed when the run is over", async (kind) => {
    const { folder, job } = await place(kind);
    const open = (): string[] => openFiles(folder, SPILLED);
    let during: string[] = [];
    const onEvent = ({ type }: { type: string }): void => void (type === "step" && (during = open()));
    expect((await train({ ...job, name: "run" }, { onEvent })).outcome).toBe("completed");
    expect(during.filter((path) => path.includes(kind === "csv" ? SPILLED : "x.npy"))).toHaveLength(2);
    expect(open()).toEqual([]);

    const library = await serveLibrary({ runs: job.runs!, host: "127.0.0.1", port: 0, token: JoinToken.none });
    onTestFinished(() => library.close());
    const answer = await fetch(new URL("api/run?name=run", library.url));
    expect(await answer.json()).toMatchObject({ state: "completed" });
    expect(open()).toEqual([]);
  });

  test("and so it is when there is no run, as its port is in use", async () => {
    const { folder, job } = await place("csv");
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as AddressInfo;
    let during: string[] = [];
    const onEvent = ({ type }: { type: string }): void => void (type === "data" && (during = openFiles(SPILLED)));
    expect((await failureOf(() => train({ ...job, port }, { onEvent }))).code).toBe("PORT_IN_USE");
    expect(during).toHaveLength(2);
    expect(openFiles(folder, SPILLED)).toEqual([]);
  });
});
