/** The engine's library tells nobody of anything: training leaves no identifier of the device and no events to be sent. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { writeMnistPart } from "../support/mnist.ts";

const program = fileURLToPath(new URL("../../coordinator/cli/main.ts", import.meta.url));

test("a run and its evaluation leave nothing in the home folder", async () => {
  const [folder, home] = [await temporaryFolder(), await temporaryFolder()];
  await writeMnistPart(join(folder, "digits"), 400, 100);
  // Nothing else: the library is also silent where a variable tells it of a CI.
  const env = { PATH: process.env["PATH"], HOME: home, LOCKSTEP_CACHE: join(folder, "cache") };
  for (const words of ["train --data digits --name quiet --epochs 1", "evaluate quiet"]) {
    const { status, stderr } = spawnSync(process.execPath, [program, ...words.split(" ")], { cwd: folder, env });
    expect({ status, stderr: stderr.toString() }).toMatchObject({ status: 0 });
  }
  expect(readdirSync(home, { recursive: true })).toEqual([]);
});
