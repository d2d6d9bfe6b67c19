/** What a real coordinator shows over HTTP while it trains: probes, and metrics that tell what happens. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

const secret = "correct-horse-battery-staple";

/**
 * The samples of a page in Prometheus' text format, by name with labels; refuses lines that are none. What has no value, as the
 * mean of an event loop's delays when it is asked for twice in a row, is written `Nan`: Prometheus reads that in any case.
 */
function samplesOf(page: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of page.split("\n").filter((text) => text !== "" && !text.startsWith("#"))) {
    const [, name, value] = /^([a-z_0-9]+\{[^{}]*\}) (-?[\d.e+-]+|Na[Nn]|\+Inf)$/.exec(line) ?? [];
    expect(name, line).toBeDefined();
    expect(samples.has(name!), line).toBe(false);
    samples.set(name!, Number(value));
  }
  return samples;
}

test("probes and metrics tell what a run does, the metrics to those alone who have a token", async () => {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  await writeFile(join(folder, "join.token"), `${secret}\n`);
  const flags = ["--data", "digits", "--epochs", "100000", "--batch", "30", "--name", "shown", ...asEvents];
  const coordinator = lockstep(["coordinator", ...flags, "--token-file", "join.token"], folder);
  const { url, steps } = await coordinator.event("listening");
  const readerToken = lockstep(["token", "--reader", "--token-file", "join.token"], folder);
  const reader = { authorization: `Bearer ${(await readerToken.finished).stdout.trim()}` };
  const ask = (path: string, headers = {}): Promise<Response> =>
    fetch(new URL(path, url.replace("ws", "http")), { headers });
  const scrape = async (): Promise<(name: string, labels?: string) => number | undefined> => {
    const answer = await ask("/metrics", reader);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    const samples = samplesOf(await answer.text());
    return (name, labels = "") => samples.get(`lockstep_${name}{${labels}run="shown"}`);
  };

  expect((await ask("/metrics")).status).toBe(401);
  for (const probe of ["/healthz", "/readyz"]) expect((await ask(probe)).status).toBe(200);
  const doctor = await lockstep(["doctor", url], folder).finished;
  expect(doctor.code, doctor.stdout + doctor.stderr).toBe(0);
  expect(doctor.stdout).toMatch(/^ok +coordinator +ws:.* does its work; an answer takes \d+\.\d ms \(median\)$/m);
  expect(doctor.stdout).toMatch(/^ok +clock /m);
  const health = await lockstep(["health", url], folder).finished;
  expect(health).toMatchObject({ code: 0, stdout: "ok\n", stderr: "" });
  const idle = await scrape();
  expect([idle("workers"), idle("training"), idle("steps_total"), idle("test_accuracy")]).toEqual([0, 0, 0, undefined]);
  expect(idle("steps_planned")).toBe(steps);
  // Of no step yet there is nothing to tell, and 0 would be the best loss there is.
  for (const name of ["loss", "samples_per_second", "seconds_left"]) expect(idle(name), name).toBeUndefined();

  const environment = { LOCKSTEP_TOKEN: secret };
  const [first] = ["first", "second"].map((name) => worker([url, "--name", name], environment));
  await coordinator.event("step", ({ workers, step }) => workers === 2 && step > 100);
  // A worker's speed is told once it was measured for a while.
  const speedOf = (page: Awaited<ReturnType<typeof scrape>>): number | undefined =>
    page("worker_samples_per_second", 'worker="first",');
  await expect.poll(async () => speedOf(await scrape()), { timeout: 30_000 }).toBeGreaterThan(0);
  const busy = await scrape();
  expect([busy("workers"), busy("training"), busy("workers_joined_total")]).toEqual([2, 1, 2]);
  expect(busy("steps_total")).toBeGreaterThan(100);
  expect(busy("samples_total")).toBe(30 * busy("steps_total")!);
  for (const name of ["loss", "samples_per_second", "seconds_left"]) expect(busy(name), name).toBeGreaterThan(0);
  expect(busy("step_seconds_total", 'part="compute",')).toBeGreaterThan(0);
  expect(busy("bytes_total", 'way="sent",')).toBeGreaterThan(10_000);

  const steer = async (command: string): Promise<void> => {
    const headers = { authorization: `Bearer ${secret}` };
    await fetch(new URL(`/api/${command}`, url.replace("ws", "http")), { method: "POST", headers });
  };
  await steer("pause");
  await coordinator.event("paused");
  expect((await scrape())("training")).toBe(0);
  await steer("resume");
  await coordinator.event("resumed");
  expect((await scrape())("training")).toBe(1);

  worker([url, "--name", "stranger"]);
  first!.killAll();
  await coordinator.event("worker-lost");
  await coordinator.event("refused");
  const after = await scrape();
  expect([after("workers"), after("workers_lost_total")]).toEqual([1, 1]);
  expect(after("refusals_total", 'code="TOKEN_REFUSED",')).toBe(1);
  expect(speedOf(after)).toBeUndefined();
  expect(after("steps_total")).toBeGreaterThan(busy("steps_total")!);
});

test("browsers that stop reading hold up neither the run nor its end, and take no room from those that read", async () => {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  const flags = ["--data", "digits", "--epochs", "100000", "--batch", "30", "--name", "shown", ...asEvents];
  const coordinator = lockstep(["coordinator", ...flags], folder);
  const { hostname, port, host } = new URL((await coordinator.event("listening")).url);
  const member = worker([`ws://${host}`]);
  const watch = async (): Promise<void> => {
    const socket = connect(Number(port), hostname);
    onTestFinished(() => void socket.destroy());
    socket.write(`GET /api/events HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const [head] = (await once(socket, "data")) as [Buffer];
    socket.pause();
    expect(head.toString()).toMatch(/^HTTP\/1.1 200 [^]*event: snapshot\n/);
  };
  await Promise.all(Array.from({ length: 16 }, watch));
  const { step } = coordinator.events.findLast((event) => event.type === "step") ?? { step: 0 };
  await coordinator.event("step", (event) => event.step > step + 500);
  const metrics = await fetch(`http://${host}/metrics`);
  expect(metrics.status).toBe(200);
  coordinator.process.kill("SIGTERM");
  expect((await coordinator.result()).outcome).toBe("stopped");
  expect([(await coordinator.finished).code, (await member.finished).code]).toEqual([0, 0]);
});
