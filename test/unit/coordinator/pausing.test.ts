import { describe, expect, test } from "vitest";
import { stepNumber } from "../../../shared/ids.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";

describe("a pause", () => {
  test("takes the steps that workers may have begun with, opens no other, and says when it begins", () => {
    const trace = new CoordinatorTrace({ trainSamples: 64, batch: 8 });
    trace.join("a");
    expect(trace.state.ahead).toHaveLength(1);
    expect(trace.feed({ type: "pause" })).toEqual([]);
    expect(trace.finishWork()).toContain("open train 1");
    expect(trace.state.ahead).toHaveLength(0);
    const paused = trace.finishWork();
    expect(paused).toContain("notify paused");
    expect(paused.filter((line) => line.includes("open") || line.includes("assignment"))).toEqual([]);
    expect(trace.pass(30_000).filter((line) => !line.includes("heartbeat"))).toEqual([]);
    const resumed = trace.feed({ type: "unpause" });
    expect(resumed).toContain("notify resumed");
    expect(resumed).toContain("open train 2");
  });

  test("that is taken back before it began leaves no trace", () => {
    const trace = new CoordinatorTrace({ trainSamples: 64, batch: 8 });
    trace.join("a");
    trace.feed({ type: "pause" });
    expect(trace.feed({ type: "unpause" })).toEqual([]);
    trace.finishWork();
    expect(trace.finishWork()).toContain("open train 2");
  });

  test("is said whenever there is one", () => {
    const trace = new CoordinatorTrace({ trainSamples: 64, batch: 8 });
    trace.join("a");
    for (let time = 0; time < 2; time++) {
      trace.feed({ type: "pause" });
      const told: string[] = [];
      while (trace.state.work !== undefined) told.push(...trace.finishWork());
      expect(told.filter((line) => line.startsWith("notify paused"))).toHaveLength(1);
      expect(trace.feed({ type: "unpause" })).toContain("notify resumed");
      expect(trace.feed({ type: "unpause" })).toEqual([]);
    }
  });

  test("counts for no rate", () => {
    const trace = new CoordinatorTrace();
    trace.join("a");
    trace.feed({ type: "pause" });
    while (trace.state.pausedSince === undefined) trace.finishWork();
    const before = trace.state.epochStartedAt;
    trace.pass(60_000);
    trace.feed({ type: "unpause" });
    expect(trace.state.epochStartedAt).toBe(before + 60_000);
  });

  test("in which the run is stopped counts for no time of training, and nothing is said to go on", () => {
    const trace = new CoordinatorTrace({ trainSamples: 64, batch: 8 });
    trace.join("a");
    trace.feed({ type: "pause" });
    while (trace.state.pausedSince === undefined) trace.finishWork();
    const before = trace.state.trainingSince!.at;
    trace.pass(60_000);
    expect(trace.feed({ type: "stop", reason: "user" })).toEqual([
      "checkpoint",
      "a ← end stopped",
      "a close",
      "finish stopped",
    ]);
    expect(trace.state.trainingSince!.at).toBe(before + 60_000);
  });

  test("counts for no samples a second", () => {
    const trace = new CoordinatorTrace({ trainSamples: 64, batch: 8 });
    trace.join("a");
    trace.feed({ type: "pause" });
    while (trace.state.pausedSince === undefined) {
      trace.now += 100;
      trace.finishWork();
    }
    trace.pass(60_000);
    trace.feed({ type: "unpause" });
    trace.now += 100;
    const [step] = trace.finishWorkFor("step");
    expect(step!.samplesPerSecond).toBeCloseTo(80, 6);
  });

  test("lets a checkpoint be written and the run be stopped", () => {
    const trace = new CoordinatorTrace({ trainSamples: 64, batch: 8 });
    trace.join("a");
    trace.feed({ type: "pause" });
    while (trace.state.pausedSince === undefined) trace.finishWork();
    expect(trace.feed({ type: "save" })).toEqual(["checkpoint"]);
    expect(trace.feed({ type: "save" })).toEqual([]);
    const stopped = trace.feed({ type: "stop", reason: "user" });
    expect(stopped).toContain("finish stopped");
    expect(stopped).not.toContain("checkpoint");
  });

  test("lets a checkpoint that could not be written be tried again, when one is asked for and at the end", () => {
    const trace = new CoordinatorTrace({ trainSamples: 64, batch: 8 });
    trace.join("a");
    trace.feed({ type: "pause" });
    while (trace.state.pausedSince === undefined) trace.finishWork();
    const step = trace.state.steps;
    for (let time = 0; time < 2; time++) {
      expect(trace.feed({ type: "save" })).toEqual(["checkpoint"]);
      expect(trace.feed({ type: "unsaved", step })).toEqual([]);
    }
    // Of an older one, while a newer one is on its way.
    expect(trace.feed({ type: "save" })).toEqual(["checkpoint"]);
    trace.feed({ type: "unsaved", step: stepNumber(step - 1) });
    expect(trace.feed({ type: "save" })).toEqual([]);
    trace.feed({ type: "unsaved", step });
    expect(trace.feed({ type: "stop", reason: "user" })).toContain("checkpoint");
  });
});
