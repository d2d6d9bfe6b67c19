/** What a run says of itself to those who restart it, or send it workers, by its answer. */
import { expect, it } from "vitest";
import { siteOf } from "../../../coordinator/http/routes.ts";
import type { RunView } from "../../../coordinator/http/view.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { createDataset } from "../../../shared/data/dataset.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";

const train = createDataset({
  sampleShape: [1],
  target: { kind: "class", classes: 2 },
  features: new Float32Array(2),
  targets: Int32Array.of(0, 1),
});

function healthOf(trace: CoordinatorTrace): { readonly alive: boolean; readonly ready: boolean } {
  const nothing = (): void => {};
  const run = {
    config: { name: "m" },
    data: { train, source: { kind: "here", train } },
    target: train.target,
    sampleShape: train.sampleShape,
    state: trace.state,
    now: () => trace.now,
    watch: () => nothing,
    onClose: nothing,
  };
  return siteOf(run as unknown as RunView).health();
}

it("a run is alive while its core is told the time, also while it waits or stands in a pause", () => {
  const trace = new CoordinatorTrace();
  expect(healthOf(trace)).toEqual({ alive: true, ready: true });
  trace.pass(60_000);
  trace.now += 19_999;
  expect(healthOf(trace)).toEqual({ alive: true, ready: true });
  trace.now += 1;
  expect(healthOf(trace)).toEqual({ alive: false, ready: false });
  trace.feed({ type: "tick" });
  expect(healthOf(trace)).toEqual({ alive: true, ready: true });
});

it("a run takes no workers any more once it is asked to stop, and is alive at its end though time stands still", () => {
  const trace = new CoordinatorTrace();
  trace.join("a");
  trace.feed({ type: "stop", reason: new LockstepError("DISK_FAILED", "full") });
  expect(healthOf(trace)).toEqual({ alive: true, ready: false });
  trace.finishWork();
  trace.now += 60_000;
  expect(healthOf(trace)).toEqual({ alive: true, ready: false });
  const completed = new CoordinatorTrace({}, { steps: 4 });
  completed.feed({ type: "tick" });
  expect(healthOf(completed)).toEqual({ alive: true, ready: false });
});
