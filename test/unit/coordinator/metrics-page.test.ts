/** What /metrics says of a run's state at the moment when it is asked. */
import perfHooks from "node:perf_hooks";
import { Hono } from "hono";
import { expect, it, onTestFinished, vi } from "vitest";
import { metricsPage } from "../../../coordinator/http/metrics.ts";
import type { RunEvent } from "../../../coordinator/events.ts";
import type { RunView } from "../../../coordinator/http/view.ts";
import type { SiteEnv } from "../../../coordinator/server/edge.ts";
import { version } from "../../../shared/version.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";

type Listener = (event: RunEvent) => void;

/** The text of a run's page, and what it hears of events. */
function pageOf({ state }: CoordinatorTrace): { text: () => Promise<string>; listen: Listener } {
  const profile = { compute: 1, reduce: 2, wire: 3, wait: 4, bytesSent: 5, bytesReceived: 6, bytesShared: 7 };
  let listen: Listener = () => {};
  const watch = (listener: Listener): (() => void) => {
    listen = listener;
    return () => {};
  };
  const run = { config: { name: "m" }, state, steps: 4, parameters: 5, profile: () => profile, watch };
  const pages = new Hono<SiteEnv>();
  metricsPage(run as unknown as RunView)(pages);
  return { text: async () => (await pages.request("/metrics")).text(), listen };
}

/** Reads figures of a run that needs two workers. */
function figuresOf(trace: CoordinatorTrace): (...names: string[]) => Promise<(number | undefined)[]> {
  const { text } = pageOf(trace);
  return async (...names) => {
    const page = await text();
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

it("the process is told of, with how late the event loop is at the moment, for which no timer wakes it again and again", async () => {
  const monitor = vi.spyOn(perfHooks, "monitorEventLoopDelay");
  const page = await pageOf(new CoordinatorTrace()).text();
  expect(page).toMatch(/^process_resident_memory_bytes\{run="m"\} \d+$/m);
  expect([...page.matchAll(/^(nodejs_eventloop\w+)\{/gm)].map(([, name]) => name)).toEqual([
    "nodejs_eventloop_lag_seconds",
  ]);
  const dayInMilliseconds = 86_400_000;
  for (const [options] of monitor.mock.calls) expect(options!.resolution).toBeGreaterThan(dayInMilliseconds);
});

it("what is not known yet is left out", async () => {
  const trace = new CoordinatorTrace();
  const read = figuresOf(trace);
  expect(await read("test_loss", "loss", "steps_total")).toEqual([undefined, undefined, 0]);
});

it("every figure has its name, its labels and its value", async () => {
  vi.useFakeTimers({ now: 1_700_000_000_000, toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const trace = new CoordinatorTrace({ trainSamples: 12 });
  const { text, listen } = pageOf(trace);
  const figures = (): Promise<string[]> =>
    text().then((page) =>
      page
        .split("\n")
        .filter((line) => line.startsWith("lockstep_"))
        .map((line) => line.replace("lockstep_", "").replace('run="m"', "").replace("{}", "").replace(",}", "}")),
    );
  trace.join("a");
  for (const event of trace.finishWorkFor("step")) listen(event);
  trace.finishWork();
  trace.finishWork(3);
  const [member] = trace.state.members.values();
  member!.speed = 0.25;
  trace.state.audits = 9;
  trace.state.quarantined.set("liar", { worker: "liar", step: 1, since: 1 });
  const events: RunEvent[] = [
    { type: "worker-joined", worker: "a", workers: 1 },
    { type: "worker-joined", worker: "b", workers: 2 },
    { type: "worker-lost", worker: "b", reason: "gone", reassigned: 3, workers: 1 },
    { type: "refused", worker: "x", code: "TOKEN_REFUSED", message: "" },
    { type: "warning", code: "DISK_FAILED", message: "" },
    { type: "checkpoint", path: "", step: 2 },
  ];
  events.forEach(listen);
  expect(await figures()).toEqual([
    `info{version="${version}",id="run"} 1`,
    "steps_total 2",
    "samples_total 12",
    "steps_planned 4",
    "parameters 5",
    "workers 1",
    "workers_joining 0",
    "workers_quarantined 1",
    "training 1",
    "test_loss 0.5",
    `test_accuracy ${4 / 6}`,
    "audits_total 9",
    'step_seconds_total{part="compute"} 1',
    'step_seconds_total{part="reduce"} 2',
    'step_seconds_total{part="wire"} 3',
    'step_seconds_total{part="wait"} 4',
    'bytes_total{way="sent"} 5',
    'bytes_total{way="received"} 6',
    'bytes_total{way="shared"} 7',
    'worker_samples_per_second{worker="a"} 250',
    "workers_joined_total 2",
    "workers_lost_total 1",
    "pieces_reassigned_total 3",
    'refusals_total{code="TOKEN_REFUSED"} 1',
    'warnings_total{code="DISK_FAILED"} 1',
    "checkpoints_total 1",
    "checkpoint_timestamp_seconds 1700000000",
    "loss 1",
    "samples_per_second 8000",
    "seconds_left 0.002",
  ]);
  // Asked again, what the run counts itself is not counted twice.
  expect(await figures()).toContain("steps_total 2");
});
