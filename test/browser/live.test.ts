/** A run that goes on, in a real browser: what a person sees within seconds of what happens, and what they can do about it. */
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { closeBrowser, noBrowser, openPage } from "../support/browser.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

if (noBrowser !== undefined) console.warn(`tests of the dashboard in a browser are skipped: ${noBrowser}`);

const SECRET = "correct-horse-battery-staple";
/** What people are promised, in milliseconds. */
const SOON = 2_000;

interface Cluster {
  readonly coordinator: Lockstep;
  readonly workers: Readonly<Record<string, Lockstep>>;
  /** Of the dashboard. */
  readonly url: string;
  readonly folder: string;
}

/** A run that goes on for as long as the test. */
async function cluster(names: readonly string[], environment = {}, more: readonly string[] = []): Promise<Cluster> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 1_200, 200);
  const job = ["--data", "digits", "--epochs", "100000", "--batch", "60", "--name", "shown", ...asEvents];
  const coordinator = lockstep(["coordinator", ...job, ...more], folder, environment);
  const { url } = await coordinator.event("listening");
  const workers = Object.fromEntries(names.map((name) => [name, worker([url, "--name", name], environment)]));
  if (names.length > 0) await coordinator.event("step", ({ workers, step }) => workers === names.length && step > 50);
  return { coordinator, workers, folder, url: `${url.replace("ws", "http")}/` };
}

const row = (page: Page, name: string) => page.locator(".workers tbody tr", { hasText: name });
const event = (page: Page, text: string | RegExp) => page.locator(".log li", { hasText: text }).first();
const figure = (page: Page, name: string) =>
  page.locator(".figures div", { has: page.getByText(name, { exact: true }) }).locator("dd");

/** How wide the page is with long figures, as those of a run are that has gone on for days. */
const widthWith = (figure: string): string => `
  for (const dd of document.querySelectorAll(".figures dd")) dd.textContent = "${figure}";
  document.documentElement.scrollWidth;`;

const because = noBrowser === undefined ? "" : ` (skipped: ${noBrowser})`;

describe(`the dashboard of a run${because},`, { skip: noBrowser !== undefined, timeout: 90_000 }, () => {
  afterAll(closeBrowser);

  test("tells within two seconds that one of three workers was killed: in its row, its lane and the event log", async () => {
    const { workers, url } = await cluster(["anna", "bert", "cleo"]);
    const page = await openPage();
    await page.goto(url);
    for (const name of ["anna", "bert", "cleo"]) {
      // One that began slowly may have nothing to do.
      await row(page, name)
        .getByText(/^(computing|standing by)$/)
        .waitFor();
      await event(page, `${name} joined`).waitFor();
    }
    const lanes = async (): Promise<string[]> => page.locator(".timeline text:not(.step)").allTextContents();
    await expect.poll(async () => (await lanes()).length, { timeout: 5_000 }).toBeGreaterThan(2);
    const busy = page.locator(".workers tbody tr", { hasText: "computing" }).first();
    const victim = (await busy.locator("th").textContent())!;
    await expect.poll(lanes, { timeout: 5_000 }).toContain(victim);
    // Round trip, CPU and memory are asked for once a second.
    const measured = /127\.0\.0\.1.* ms.* %.* MB/;
    await expect.poll(() => row(page, victim).textContent(), { timeout: 5_000 }).toMatch(measured);

    const killedAt = Date.now();
    workers[victim]!.killAll();
    const left = (): number => Math.max(1, killedAt + SOON - Date.now());
    await row(page, victim).getByText("gone").waitFor({ timeout: left() });
    await event(page, `${victim} is gone`).waitFor({ timeout: left() });
    await expect.poll(lanes, { timeout: left(), interval: 20 }).not.toContain(victim);
    console.log(`a killed worker was told of after ${Date.now() - killedAt} ms`);
    expect(await row(page, victim).locator("td").last().textContent()).toBe("1");
    expect(await figure(page, "Workers").textContent()).toBe("2");
    // The others go on, and so does the page.
    const before = await figure(page, "Step").textContent();
    await expect.poll(() => figure(page, "Step").textContent(), { timeout: 5_000 }).not.toBe(before);
  });

  test("shows the threads of workers where the run is traced, and what else is in the trace", async () => {
    const { url } = await cluster(["anna", "bert"], {}, ["--trace"]);
    const page = await openPage();
    await page.goto(url);
    const lanes = async (): Promise<string[]> => page.locator(".timeline text:not(.step)").allTextContents();
    await expect.poll(lanes).toEqual(["coordinator", "anna thread 1", "bert thread 1"]);
    for (const kind of ["gather samples", "compute", "announce", "waiting", "update"])
      await page.locator(".timeline-card .legend", { hasText: kind }).waitFor();
  });

  test("asks the network what a drawn digit is; pauses, saves, goes on and stops a run, and says when it is over", async () => {
    const { coordinator, url } = await cluster(["anna"]);
    const page = await openPage();
    await page.goto(url);
    const box = (await page.locator(".digit canvas").boundingBox())!;
    await page.mouse.move(box.x + 84, box.y + 30);
    await page.mouse.down();
    await page.mouse.move(box.x + 84, box.y + 140, { steps: 8 });
    await page.mouse.up();
    await page.getByText(/^It is a 1 \(\d/).waitFor();
    const shares = await page
      .locator(".classes progress")
      .evaluateAll((bars) => bars.map((bar) => (bar as unknown as { value: number }).value));
    expect(shares).toHaveLength(10);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 3);

    await page.getByRole("button", { name: "Pause" }).click();
    const { step } = await coordinator.event("paused");
    await event(page, /paused after step/).waitFor();
    await page.getByRole("button", { name: "Checkpoint now" }).click();
    expect(await coordinator.event("checkpoint")).toMatchObject({ step });
    await page.getByRole("button", { name: "Resume" }).click();
    await coordinator.event("resumed");
    await coordinator.event("step", (event) => event.step === step + 1);
    // With every epoch the digit is asked about anew, and the browser would report a question that the end cut short.
    await page.getByRole("button", { name: "Clear" }).click();
    await page.getByRole("button", { name: "Stop…" }).click();
    await page.getByRole("button", { name: "Stop the run" }).click();
    expect((await coordinator.result()).outcome).toBe("stopped");
    await page.getByText("The run is over").waitFor();
    expect(await page.locator(".state").textContent()).toBe("stopped");
    expect(await page.getByRole("button", { name: "Pause" }).isVisible()).toBe(false);
  });

  test("asks for the token: a wrong one is refused, the reader's lets look, the join token lets steer", async () => {
    const environment = { LOCKSTEP_TOKEN: SECRET };
    const { url, folder } = await cluster(["anna"], environment);
    const page = await openPage({ expected: /40[13] \((Unauthorized|Forbidden)\)/ });
    await page.goto(url);
    const logIn = async (token: string): Promise<void> => {
      await page.getByRole("textbox", { name: /token/i }).fill(token);
      await page.getByRole("button", { name: "Log in", exact: true }).click();
    };
    await logIn("not-the-token-at-all");
    await page.getByRole("alert").getByText("neither the run's join token nor the reader's token").waitFor();
    const reader = (await lockstep(["token", "--reader"], folder, environment).finished).stdout.trim();
    await logIn(reader);
    await row(page, "anna").waitFor();
    expect(await page.getByRole("button", { name: "Pause" }).isVisible()).toBe(false);
    expect((await page.request.post(`${url}api/pause`)).status()).toBe(403);
    await page.getByRole("button", { name: "Log in to steer…" }).click();
    await logIn("wrong-again-and-again");
    await page.getByText("That token is wrong").waitFor();
    await logIn(SECRET);
    await page.getByRole("button", { name: "Pause" }).waitFor();
  });

  test("works below a proxy's path, on a phone and by keyboard; and says what is wrong where a proxy hands on the page alone", async () => {
    const { url } = await cluster(["anna"]);
    const everything = await proxy(url, () => true);
    const withoutAnswers = await proxy(url, (path) => !path.startsWith("/api/"));
    const nothingElse = await proxy(url, (path) => path === "/");
    const phone = await openPage({ width: 390, dark: true });
    await phone.goto(`${everything}/lockstep/`);
    await row(phone, "anna").getByText("computing").waitFor();
    expect(await phone.evaluate(widthWith("1,234,567 / 2,000,000"))).toBeLessThanOrEqual(390);
    await phone.keyboard.press("Tab");
    expect(await phone.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    const all = phone.getByRole("button", { name: "Show all steps" });
    await phone.locator(".chart canvas").first().waitFor();
    await phone.locator(".chart").first().focus();
    await phone.keyboard.press("+");
    await expect.poll(() => all.isEnabled(), { timeout: 5_000 }).toBe(true);
    await phone.keyboard.press("ArrowLeft");
    await phone.keyboard.press("0");
    await expect.poll(() => all.isEnabled(), { timeout: 5_000 }).toBe(false);
    await phone.locator(".digit canvas").focus();
    await phone.keyboard.down("Space");
    for (let press = 0; press < 6; press++) await phone.keyboard.press("ArrowDown");
    await phone.getByText(/^It is a \d/).waitFor();

    const page = await openPage({ expected: /404|MIME type/ });
    await page.goto(`${withoutAnswers}/lockstep/`);
    const notHandedOn = /is not Lockstep. Behind a proxy, everything below this page's address must be handed on/;
    await page.getByText(notHandedOn).waitFor();
    await page.goto(`${nothingElse}/lockstep/`);
    await page.getByText("its address must end with a slash").waitFor();
  });

  test("says that the connection is lost, and is there again when the coordinator is", async () => {
    const { coordinator, url, folder } = await cluster(["anna"]);
    const page = await openPage({ expected: /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/ });
    await page.goto(url);
    await row(page, "anna").waitFor();
    await page.getByRole("button", { name: "Checkpoint now" }).click();
    await coordinator.event("checkpoint");
    coordinator.killAll();
    await page.getByText("The connection to the coordinator is lost").waitFor();
    const again = lockstep(["coordinator", "--resume", "shown", "--port", new URL(url).port, ...asEvents], folder);
    await again.event("listening");
    await event(page, "going on after step").waitFor();
    await page.locator(".banner").waitFor({ state: "hidden" });
    // A second one is told who has the folder, and the first goes on.
    const second = await lockstep(["coordinator", "--resume", "shown", "--port", "0"], folder).finished;
    const told = /shown is in use by process \d+ \[RUN_LOCKED\]\n {2}what to do: Wait until it ends or stop it/;
    expect(second.stderr).toMatch(told);
    await again.event("step", ({ workers }) => workers === 1);
  });
});

/** A reverse proxy that shows the dashboard below /lockstep/; what it does not hand on, it answers with a page of its own. */
async function proxy(target: string, handsOn: (path: string) => boolean): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const path = incoming.url!.replace(/^\/lockstep/, "");
    if (!incoming.url!.startsWith("/lockstep/") || !handsOn(path)) {
      outgoing.writeHead(404, { "content-type": "text/html" }).end("<h1>Not here</h1>");
      return;
    }
    const { method, headers } = incoming;
    // A connection that is kept may be closed by the other side just as it is used again.
    const onward = request(new URL(path, target), { method, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    outgoing.on("close", () => onward.destroy());
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
