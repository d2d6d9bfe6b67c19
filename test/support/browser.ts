/**
 * Debian's Chromium, driven by playwright-core, for tests of what a person sees. Whatever a page says on its console fails the
 * test that opened it, unless it says beforehand that it expects it.
 */
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import type { Browser, Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";

const candidates = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = process.env["CHROMIUM"] ?? candidates.find((path) => existsSync(path));

/** Why there is no browser; undefined if there is one. */
export const noBrowser = executablePath === undefined ? "no Chromium is installed" : undefined;

// Without these it asks for hosts of its maker at every start.
const quiet = ["quic", "no-first-run", "background-networking", "component-update", "sync"].map((name) =>
  name === "no-first-run" ? `--${name}` : `--disable-${name}`,
);

let started: Promise<Browser> | undefined;

const browser = (): Promise<Browser> =>
  (started ??= chromium.launch({ executablePath: executablePath!, args: ["--no-sandbox", "--disable-gpu", ...quiet] }));

/** For `afterAll`. */
export async function closeBrowser(): Promise<void> {
  await (await started)?.close();
}

export interface PageOptions {
  readonly width?: number;
  readonly dark?: boolean;
  /** Sentences on the console that are no defect, such as that of a request which the test means to fail. */
  readonly expected?: RegExp;
}

/** A page of a browser that knows nothing of the others. */
export async function openPage({ width = 1360, dark = false, expected }: PageOptions = {}): Promise<Page> {
  const context = await (
    await browser()
  ).newContext({ viewport: { width, height: 900 }, colorScheme: dark ? "dark" : "light" });
  const page = await context.newPage();
  const said: string[] = [];
  page.on("console", (message) => {
    const isSerious = message.type() === "error" || message.type() === "warning";
    if (isSerious && expected?.test(message.text()) !== true) said.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => said.push(`uncaught: ${error.stack ?? error.message}`));
  page.on("request", (request) => {
    if (!["127.0.0.1", "localhost"].includes(new URL(request.url()).hostname) && !request.url().startsWith("data:"))
      said.push(`asks another host: ${request.url()}`);
  });
  onTestFinished(async () => {
    await context.close();
    expect(said, "what the page said on its console").toEqual([]);
  });
  return page;
}
