import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { EventLog } from "../../../coordinator/run-folder/event-log.ts";
import { temporaryFolder } from "../../support/files.ts";

it.skipIf(process.platform === "win32")("adds nothing to a file elsewhere that a link leads to", async () => {
  const [run, home] = [await temporaryFolder(), await temporaryFolder()];
  const theirs = join(home, "precious");
  await writeFile(theirs, "not events\n");
  await symlink(theirs, join(run, "events.jsonl"));
  const failures: unknown[] = [];
  const log = new EventLog(
    run,
    (error) => failures.push(error),
    async () => {},
  );
  log.add({ type: "waiting", workers: 0, needed: 1 }, 1);
  await log.close();
  expect(failures).toMatchObject([{ code: "DISK_FAILED", message: `cannot use ${join(run, "events.jsonl")}: ELOOP` }]);
  expect(await readFile(theirs, "utf8")).toBe("not events\n");
});
