/** A page, and workers, behind a reverse proxy: they work through one that is set up well, and one that is not is named. */
import { request } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";
import { reverseProxyBefore } from "../support/reverse-proxy.ts";

const LOCKSTEP_TOKEN = "correct-horse-battery-staple";
/** What a browser sends for a page of https://train.example, which leads to the proxy. */
const browser = { host: "train.example", origin: "https://train.example", accept: "text/html" };
const asForm = { ...browser, "content-type": "application/x-www-form-urlencoded" };

interface Answer {
  readonly status: number;
  readonly cookie: string;
  readonly text: string;
}

/** Resolves with the first part of the answer's body: a stream of events does not end. */
const ask = (port: number, path: string, headers: Record<string, string>, body?: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const method = body === undefined ? "GET" : "POST";
    const sent = request({ host: "127.0.0.1", port, path, headers, method, agent: false }, (answer) => {
      const { statusCode = 0, headers: told } = answer;
      const done = (part = ""): void => {
        resolve({ status: statusCode, cookie: told["set-cookie"]?.[0]?.split(";")[0] ?? "", text: part });
        answer.destroy();
      };
      answer.setEncoding("utf8").once("data", done).once("end", done);
    });
    sent.on("error", reject).end(body);
  });

async function coordinator(environment = {}): Promise<{ process: Lockstep; url: string }> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  const flags = ["--data", "digits", "--epochs", "100000", "--batch", "30", ...asEvents];
  const process = lockstep(["coordinator", ...flags], folder, environment);
  return { process, url: (await process.event("listening")).url };
}

test("behind a proxy that hands the Host header on, people log in and watch, and workers join", async () => {
  const { process, url } = await coordinator({ LOCKSTEP_TOKEN });
  const port = await reverseProxyBefore(url, { keepsHost: true, upgrades: true });
  expect((await ask(port, "/", browser)).status).toBe(401);
  const { status, cookie } = await ask(port, "/login", asForm, `token=${LOCKSTEP_TOKEN}`);
  expect(status).toBe(303);
  expect((await ask(port, "/", { ...browser, cookie })).text).toContain("<!doctype html>");
  expect((await ask(port, "/api/events", { ...browser, cookie })).text).toContain("event: snapshot");
  worker([`ws://127.0.0.1:${port}`, "--name", "behind"], { LOCKSTEP_TOKEN });
  expect((await process.event("worker-joined")).worker).toBe("behind");
  await process.event("step");
});

test("behind one that hides the Host, or that cannot upgrade, it is said what the proxy must do", async () => {
  const { url } = await coordinator({ LOCKSTEP_TOKEN });
  const port = await reverseProxyBefore(url, { keepsHost: false, upgrades: false });
  const { status, text } = await ask(port, "/login", asForm, `token=${LOCKSTEP_TOKEN}`);
  expect(status).toBe(403);
  expect(JSON.parse(text)).toMatchObject({ error: { code: "CONNECTION_REFUSED" } });
  expect(text).toMatch(/a page of https:\/\/train\.example asked for it, and this is 127\.0\.0\.1:\d+/);
  expect(text).toContain("a proxy before it must hand the Host header on");
  const cut = worker([`ws://127.0.0.1:${port}`, "--name", "cut", "--patience", "1"], { LOCKSTEP_TOKEN });
  const { code, stderr } = await cut.finished;
  expect(code).toBe(1);
  expect(stderr).toMatch(/HTTP status 4\d\d .*a proxy before it does not pass upgrades on/);
  expect(stderr).toContain("COORDINATOR_UNREACHABLE");
});

test("without a join token no name that somebody may have pointed here is answered, and what helps is said", async () => {
  const { url } = await coordinator();
  const port = await reverseProxyBefore(url, { keepsHost: true, upgrades: true });
  const { status, text } = await ask(port, "/", browser);
  expect(status).toBe(403);
  expect(text).toMatch(/does not answer to the name train\.example.*--host and that name, or give it a join token/);
});
