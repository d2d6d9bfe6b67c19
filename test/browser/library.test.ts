/** A folder of runs in a real browser: runs beside one another, and one of 100,000 steps. */
import { once } from "node:events";
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, describe, expect, test } from "vitest";
import { closeBrowser, noBrowser, openPage } from "../support/browser.ts";
import { temporaryFolder } from "../support/files.ts";
import { lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

const STEPS = 100_000;

/** A short run, the same again, and one with a curve of 100,000 steps. */
async function library(): Promise<string> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 600, 100);
  const job = ["--data", "digits", "--epochs", "2", "--batch", "60", "--workers", "1", "--name", "short"];
  expect((await lockstep(["train", ...job], folder).finished).code).toBe(0);
  const run = (name: string): string => join(folder, "runs", name);
  for (const name of ["again", "long"]) await cp(run("short"), run(name), { recursive: true });
  const lines = Array.from({ length: STEPS }, (_, index) => {
    const loss = 2 / Math.sqrt(index + 1) + 0.1 * Math.sin(index * index);
    const figures = { loss, accuracy: 1 - loss / 4, learningRate: 0.05, samplesPerSecond: 40_000, workers: 1 };
    return JSON.stringify({ type: "step", step: index + 1, epoch: 1, ...figures });
  });
  await writeFile(join(run("long"), "metrics.jsonl"), `${lines.join("\n")}\n`);
  const served = lockstep(["dashboard", "runs", "--port", "0"], folder);
  const [line] = (await once(served.process.stdout!, "data")) as [Buffer];
  return /http:\S+/.exec(line.toString())![0];
}

/** Milliseconds between frames while something is done with every one of them: median, and what one in twenty exceeds. */
async function frames(page: Page, action: string): Promise<{ median: number; slow: number }> {
  const intervals = await page.evaluate<number[]>(`new Promise((resolve) => {
    const intervals = [];
    let before = performance.now();
    let count = 0;
    const frame = (now) => {
      intervals.push(now - before);
      before = now;
      if (++count > 90) return resolve(intervals.slice(1));
      ${action};
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  })`);
  const sorted = intervals.sort((left, right) => left - right);
  return { median: sorted[Math.floor(sorted.length / 2)]!, slow: sorted[Math.floor(0.95 * sorted.length)]! };
}

const because = noBrowser === undefined ? "" : ` (skipped: ${noBrowser})`;

describe(`the dashboard of a folder${because},`, { skip: noBrowser !== undefined, timeout: 90_000 }, () => {
  afterAll(closeBrowser);

  test("opens a run of 100,000 points at once, scrolls and zooms it smoothly, and sets runs beside one another", async () => {
    const url = await library();
    const page = await openPage();
    // The list has read every run, as it has for a person who comes from there.
    await page.goto(url);
    await page.getByRole("link", { name: "long" }).waitFor();
    const begin = Date.now();
    await page.goto(`${url}?run=long`);
    await page.locator(".chart canvas").nth(2).waitFor();
    await frames(page, "count = 90");
    const opened = Date.now() - begin;
    const scrolling = await frames(page, "scrollBy(0, count < 45 ? 12 : -12)");
    const key = (name: string): string =>
      `document.querySelector(".chart").dispatchEvent(new KeyboardEvent("keydown", { key: ${name}, bubbles: true }))`;
    const zooming = await frames(page, key(`count < 45 ? "+" : "-"`));
    const text = ({ median, slow }: { median: number; slow: number }): string =>
      `${median.toFixed(1)} ms a frame, one in twenty above ${slow.toFixed(1)}`;
    console.log(`${STEPS} points: opened in ${opened} ms; scrolling ${text(scrolling)}; zooming ${text(zooming)}`);
    // Generous, as a busy machine is no defect; the figures are printed.
    expect(opened).toBeLessThan(5_000);
    expect(scrolling.median).toBeLessThan(100);
    expect(zooming.median).toBeLessThan(200);

    await page.goto(url);
    for (const name of ["short", "again"]) await page.getByRole("row", { name }).getByRole("checkbox").check();
    await page.getByText("Loss, smoothed").waitFor();
    await expect.poll(() => page.locator(".chart canvas").count()).toBeGreaterThan(0);
  });
});
