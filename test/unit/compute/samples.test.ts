/** What a sum is of: which samples, augmented or not, behind which dropout masks. */
import { describe, expect, it, onTestFinished } from "vitest";
import { ComputePool } from "../../../shared/compute/pool.ts";
import { metricSlot, partialLayouts } from "../../../shared/gradient/partial.ts";
import { stepNumber } from "../../../shared/ids.ts";
import { slotView } from "../../../shared/memory/layout.ts";
import type { RunPlan, WorkKind } from "../../../shared/protocol/messages.ts";
import { imagePlan, regressionPlan } from "../../support/regression-plan.ts";

const SAMPLES = 64;

interface Asked {
  readonly kind?: WorkKind;
  readonly step?: number;
  readonly epoch?: number;
}

/** A slot of the sum over the first batch of an epoch, with parameters that are always the same. */
async function slotOf(name: string, plan: RunPlan, { kind = "train", step = 0, epoch = 0 }: Asked): Promise<number[]> {
  const pool = await ComputePool.open(plan, 1, true);
  onTestFinished(() => pool.close());
  const bytes = pool.memory.parametersOf(step);
  const parameters = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  parameters.forEach((_, index) => (parameters[index] = Math.sin(index + 1) / 4));
  pool.arrived(step);
  const layout = partialLayouts(plan.parameters, plan.metrics, plan.evaluated).partial[kind];
  const work = { kind, step: stepNumber(step) };
  const rest = { works: 1, epoch, offset: 0, samples: plan.batch, shards: 1 };
  return new Promise((resolve) => {
    pool.compute({ type: "assignment", work, ...rest, nodes: [[0, 1]] }, (_work, { buffer }) => {
      resolve([...slotView(layout, name, pool.memory.arena.floats(buffer, layout.size))]);
    });
  });
}

const lossOf = async (plan: RunPlan, asked: Asked): Promise<number> =>
  (await slotOf(metricSlot("loss"), plan, asked))[0]!;

it("samples come in another order in every epoch", async () => {
  const plan = await regressionPlan({ samples: SAMPLES, batch: 16, shards: 1, layers: [{ kind: "dense", units: 1 }] });
  expect(await lossOf(plan, { epoch: 0 })).not.toBe(await lossOf(plan, { epoch: 1 }));
});

describe("images", () => {
  const planOf = (augment: RunPlan["augment"]): Promise<RunPlan> =>
    imagePlan({
      samples: SAMPLES,
      batch: SAMPLES,
      shards: 1,
      layers: [{ kind: "flatten" }, { kind: "dense", units: 1 }],
      augment,
    });
  const flipsAndShifts: RunPlan["augment"] = [{ kind: "flip" }, { kind: "shift", pixels: 2 }];

  it("are augmented anew in every epoch", async () => {
    const ratioOf = async (plan: RunPlan): Promise<number> =>
      (await lossOf(plan, { epoch: 1 })) / (await lossOf(plan, { epoch: 0 }));
    // All images, in another order.
    expect(await ratioOf(await planOf([]))).toBeCloseTo(1, 5);
    expect(await ratioOf(await planOf(flipsAndShifts))).not.toBeCloseTo(1, 3);
  });

  it("are as they are where they test the model", async () => {
    const [plain, augmented] = [await planOf([]), await planOf(flipsAndShifts)];
    expect(await lossOf(augmented, { kind: "evaluate" })).toBe(await lossOf(plain, { kind: "evaluate" }));
    expect(await lossOf(augmented, { kind: "train" })).not.toBe(await lossOf(plain, { kind: "train" }));
  });
});

describe("dropout", () => {
  const half = { kind: "dropout", rate: 0.5 } as const;

  it("drops others in every step", async () => {
    const layers = [{ kind: "dense", units: 16, activation: "tanh" }, half, { kind: "dense", units: 1 }] as const;
    const plan = await regressionPlan({ samples: SAMPLES, batch: SAMPLES, shards: 1, layers });
    expect(await lossOf(plan, { step: 0 })).not.toBe(await lossOf(plan, { step: 2 }));
    expect(await lossOf(plan, { step: 2 })).toBe(await lossOf(plan, { step: 2 }));
  });

  it("drops others in every layer", async () => {
    const units = 256;
    const layers = [{ kind: "dense", units, activation: "tanh" }, half, half, { kind: "dense", units: 1 }] as const;
    const plan = await regressionPlan({ samples: 2, batch: 2, shards: 1, layers });
    const weights = await slotOf("4.weight", plan, {});
    // A quarter passes both: of two samples, (3/4)² of the units have no gradient; were the masks the same, (1/2)².
    expect(weights.filter((value) => value === 0).length / units).toBeCloseTo(9 / 16, 1);
  });
});
