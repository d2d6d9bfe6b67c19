/** The pages of a run that goes on, over real connections, while what was before is read slowly. */
import { execFileSync } from "node:child_process";
import { mkdir, rmdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { dashboardPages } from "../../../coordinator/dashboard/live.ts";
import type { RunView } from "../../../coordinator/http/view.ts";
import { temporaryFolder } from "../../support/files.ts";
import { servePages } from "../../support/pages.ts";

const mkfifo = "mkfifo";
/** As many pages as may show a run, and more. */
const MANY = 35;

/** A run that was resumed in `folder`, as far as its pages look at it. */
const resumedRun = (folder: string): RunView =>
  ({
    folder,
    config: { name: "long", epochs: 9 },
    state: { steps: 10, members: new Map(), audits: 0 },
    target: { kind: "class", classes: 10 },
    sampleShape: [4],
    now: () => 0,
    profile: () => ({}),
    watch: () => () => {},
    observe: () => () => {},
    onClose() {},
  }) as unknown as RunView;

/** The status, and where it is an answer with an end, its text; the connection of one without is closed. */
async function ask(url: URL, path: string): Promise<{ status: number; text: string }> {
  const abort = new AbortController();
  const answer = await fetch(new URL(path, url), { signal: abort.signal });
  const endless = answer.headers.get("content-type") === "text/event-stream";
  const text = endless ? "" : await answer.text();
  abort.abort();
  return { status: answer.status, text };
}

/** Asks for the events and hangs up before they come. */
const comeAndGo = ({ hostname, port, host }: URL): Promise<void> =>
  new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.write(`GET /api/events HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    setTimeout(() => socket.destroy(), 50);
    socket.on("close", () => resolve());
  });

test.skipIf(process.platform === "win32")(
  "pages that were closed before the history was read take no room from others",
  async () => {
    const folder = await temporaryFolder();
    // Whoever reads it waits until somebody writes.
    execFileSync(mkfifo, [join(folder, "events.jsonl")]);
    const url = await servePages(dashboardPages(resumedRun(folder)));
    await Promise.all(Array.from({ length: MANY }, () => comeAndGo(url)));
    const late = ask(url, "/api/events");
    await writeFile(join(folder, "events.jsonl"), "");
    expect((await late).status).toBe(200);
    expect((await ask(url, "/api/events")).status).toBe(200);
  },
);

test("a history that cannot be read is told of without a stack, and is read once that is mended", async () => {
  const log = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  onTestFinished(() => log.mockRestore());
  const folder = await temporaryFolder();
  const events = join(folder, "events.jsonl");
  await mkdir(events);
  const url = await servePages(dashboardPages(resumedRun(folder)));
  for (const path of ["/api/events", "/api/curve"]) {
    const { status, text } = await ask(url, path);
    expect(status).toBe(500);
    expect(JSON.parse(text)).toMatchObject({
      error: { code: "DISK_FAILED", message: `cannot read ${events}: EISDIR` },
    });
  }
  await rmdir(events);
  for (const path of ["/api/events", "/api/curve"]) expect((await ask(url, path)).status).toBe(200);
  expect(log).not.toHaveBeenCalled();
});

test("who asks for the events' head alone gets it with an end, however many ask", async () => {
  const url = await servePages(dashboardPages(resumedRun(await temporaryFolder())));
  for (let count = 0; count < MANY; count++) {
    const answer = await fetch(new URL("/api/events", url), { method: "HEAD", signal: AbortSignal.timeout(5_000) });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
  }
});
