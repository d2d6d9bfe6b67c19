/** Schedules against their published formulas, in Node's own cos and pow. */
import { describe, expect, it } from "vitest";
import { integerPower } from "../../shared/elementary.ts";
import { learningRateAt, type Schedule, type ScheduleSpec } from "../../shared/optim/schedule.ts";

const stepsPerEpoch = 10;
const epochs = 6;
const run = (spec: ScheduleSpec): Schedule => ({ spec, learningRate: 0.4, batch: 256, stepsPerEpoch, epochs });
const rates = (spec: ScheduleSpec, steps = 80, reductions = 0): number[] =>
  Array.from({ length: steps }, (_, step) => learningRateAt(run(spec), step, reductions));
const cosineFrom = (from: number, to: number, t: number): number =>
  to + ((from - to) * (1 + Math.cos(Math.PI * t))) / 2;

/** Each formula as a function of the step. */
const formulas: readonly (readonly [name: string, spec: ScheduleSpec, rate: (step: number) => number])[] = [
  ["constant", { kind: "constant" }, () => 0.4],
  ["step (StepLR)", { kind: "step", every: 2, factor: 0.5 }, (step) => 0.4 * 0.5 ** Math.floor(step / 20)],
  ["step, by default a tenth", { kind: "step", every: 1.5 }, (step) => 0.4 * 0.1 ** Math.floor(step / 15)],
  ["exponential (ExponentialLR)", { kind: "exponential", factor: 0.8 }, (step) => 0.4 * 0.8 ** (step / 10)],
  ["cosine (CosineAnnealingLR)", { kind: "cosine" }, (step) => cosineFrom(0.4, 0, Math.min(1, step / 60))],
  [
    "cosine with a horizon and a rest",
    { kind: "cosine", epochs: 3, final: 0.25 },
    (step) => cosineFrom(0.4, 0.1, Math.min(1, step / 30)),
  ],
  [
    "polynomial (PolynomialLR)",
    { kind: "polynomial", power: 2.5, final: 0.1 },
    (step) => 0.4 * (0.1 + 0.9 * (1 - Math.min(1, step / 60)) ** 2.5),
  ],
  [
    "one cycle (OneCycleLR)",
    { kind: "oneCycle" },
    (step) => {
      const [top, last] = [0.3 * 60 - 1, 59];
      const at = Math.min(step, last);
      return at <= top
        ? cosineFrom(0.4 / 25, 0.4, at / top)
        : cosineFrom(0.4, 0.4 / 25 / 1e4, (at - top) / (last - top));
    },
  ],
  [
    "cosine after a warm-up",
    { kind: "cosine", warmUp: 1.5 },
    (step) => (step < 15 ? (0.4 * (step + 1)) / 15 : cosineFrom(0.4, 0, Math.min(1, (step - 15) / 45))),
  ],
  [
    "step with a warm-up and the linear scaling rule",
    { kind: "step", every: 3, warmUp: 0.5, baseBatch: 64 },
    (step) => 1.6 * (step < 5 ? (step + 1) / 5 : 1) * 0.1 ** Math.floor(step / 30),
  ],
];

describe.each(formulas)("%s", (_, spec, rate) => {
  it("has the rate of its formula at every step", () => {
    rates(spec).forEach((found, step) => expect(Math.abs(found - rate(step)), `step ${step}`).toBeLessThan(1e-14));
  });
});

describe("plateau", () => {
  it("multiplies by its factor at each reduction, down to the rest", () => {
    const spec: ScheduleSpec = { kind: "plateau", factor: 0.5, final: 0.2 };
    expect([0, 1, 2, 3].map((reductions) => rates(spec, 1, reductions)[0])).toEqual([0.4, 0.2, 0.1, 0.4 * 0.2]);
  });
});

it.each([
  [1.5, 3, 9, 2],
  [1.5, 3, 900, 200],
  [0.5, 3, 3, 2],
  [0.25, 2, 2, 4],
  [1 / 3, 10, 1_000, 300],
  [1.1, 10, 110_000, 10_000],
])(
  "step every %d epochs of %d steps: after %d steps the rate is down %d times, and not before",
  (every, steps, at, times) => {
    const spec: ScheduleSpec = { kind: "step", every, factor: 1 - 2 ** -20 };
    const rateAt = (step: number): number => learningRateAt({ ...run(spec), stepsPerEpoch: steps }, step, 0);
    expect(rateAt(at)).toBe(0.4 * integerPower(1 - 2 ** -20, times));
    expect(rateAt(at - 1)).toBeGreaterThan(rateAt(at));
  },
);

it("step of whole intervals has exactly the rates of counting them", () => {
  for (const [every, stepsPerEpoch] of [
    [1, 7],
    [0.7, 10],
    [1.1, 10],
    [3, 1_000_003],
  ] as const) {
    const length = Math.round(every * stepsPerEpoch);
    const schedule = { ...run({ kind: "step", every, factor: 1 - 2 ** -20 }), stepsPerEpoch };
    for (const count of [1, 2, 3, 100, Math.floor(2 ** 29 / length)])
      for (const step of [count * length - 1, count * length])
        expect(learningRateAt(schedule, step, 0)).toBe(0.4 * integerPower(1 - 2 ** -20, Math.floor(step / length)));
  }
});

it("has edges: a warm-up longer than the schedule, a cycle of one step", () => {
  expect(rates({ kind: "cosine", epochs: 1, warmUp: 2 }).slice(18, 22)).toEqual([0.38, 0.4, 0, 0]);
  const single = { ...run({ kind: "oneCycle", epochs: 0.1 }), stepsPerEpoch: 1 };
  expect(Number.isFinite(learningRateAt(single, 0, 0))).toBe(true);
});
