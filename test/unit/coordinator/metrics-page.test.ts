/** What /metrics says of a run's state at the moment when it is asked. */
import { Hono } from "hono";
import { expect, it } from "vitest";
import { metricsPage } from "../../../coordinator/http/metrics.ts";
import type { RunView } from "../../../coordinator/http/view.ts";
import type { SiteEnv } from "../../../coordinator/server/edge.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";

/** Reads figures of a run that needs two workers. */
function figuresOf({ state }: CoordinatorTrace): (...names: string[]) => Promise<(number | undefined)[]> {
  const profile = { compute: 0, reduce: 0, wire: 0, wait: 0, bytesSent: 0, bytesReceived: 0, bytesShared: 0 };
  const run = { config: { name: "m" }, state, steps: 4, parameters: 5, profile: () => profile, watch: () => () => {} };
  const pages = new Hono<SiteEnv>();
  metricsPage(run as unknown as RunView)(pages);
  return async (...names) => {
    const page = await (await pages.request("/metrics")).text();
    return names.map((name) => {
      const [, value] = new RegExp(`^lockstep_${name}\\{run="m"\\} (\\S+)$`, "m").exec(page) ?? [];
      return value === undefined ? undefined : Number(value);
    });
  };
}

it("training is 1 while steps are taken, and 0 while workers are missing and in a pause", async () => {
  const trace = new CoordinatorTrace({ minWorkers: 2, startWorkers: 2 });
  const read = figuresOf(trace);
  trace.join("a");
  trace.connect("b");
  expect(await read("training", "workers", "workers_joining")).toEqual([0, 1, 1]);
  trace.hello("b");
  trace.ready("b");
  expect(await read("training", "workers", "workers_joining")).toEqual([1, 2, 0]);
  trace.disconnect("b");
  expect(await read("training", "workers", "workers_joining")).toEqual([0, 1, 0]);
  trace.join("c");
  trace.feed({ type: "pause" });
  trace.finishWork();
  trace.finishWork();
  trace.finishWork();
  expect(trace.state.pausedSince).toBeDefined();
  expect(await read("training", "workers")).toEqual([0, 2]);
});

it("what is not known yet is left out", async () => {
  const trace = new CoordinatorTrace();
  const read = figuresOf(trace);
  expect(await read("test_loss", "loss", "steps_total")).toEqual([undefined, undefined, 0]);
});
