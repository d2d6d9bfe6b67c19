import { describe, expect, it } from "vitest";
import { goesOn, readiness } from "../../../shared/compute/task.ts";
import type { ComputeTask } from "../../../shared/compute/task.ts";
import { NOTHING, signalOf } from "../../../shared/gradient/arrivals.ts";

const task = (awaits: ComputeTask["awaits"]): ComputeTask => ({ awaits }) as ComputeTask;
const forStep5 = task({ arrival: signalOf(5), interrupts: 3 });

describe("a task", () => {
  it.each([
    ["waits while nothing has come", NOTHING, 3, "waiting"],
    ["waits for the version after the last", signalOf(4), 3, "waiting"],
    ["begins when its parameters are there", signalOf(5), 3, "ready"],
    ["begins then although threads were interrupted", signalOf(5), 4, "ready"],
    ["is put off by an interrupt", signalOf(4), 4, "put off"],
    ["comes too late when the next version is there", signalOf(6), 3, "too late"],
  ] as const)("%s", (_, arrived, interrupts, expected) => {
    expect(readiness(forStep5, arrived, interrupts)).toBe(expected);
  });

  it("that awaits nothing begins", () => expect(readiness(task(undefined), NOTHING, 9)).toBe("ready"));
});

it.each([
  ["announced", { microseconds: 1, announced: true, calls: [] }, true],
  ["over", "too late", true],
  ["still to be sent", { microseconds: 1, announced: false, calls: [] }, false],
  ["put off", "put off", false],
] as const)("a series whose task is %s goes on: %#", (_, result, expected) => expect(goesOn(result)).toBe(expected));
