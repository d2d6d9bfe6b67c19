/** Shows that the simulation can fail: each fault put into the logic is found within a thousand schedules. */
import { freshWatch } from "../../coordinator/core/watch.ts";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import type { transition as coordinatorTransition } from "../../coordinator/core/transition.ts";
import type { Snapshot } from "../../shared/checkpoint/snapshot.ts";
import { nodeKey } from "../../shared/gradient/tree.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import { ComputePool } from "../../shared/compute/pool.ts";
import type { CheckedVector } from "../../shared/memory/vector.ts";
import type { Segment } from "../../shared/protocol/messages.ts";
import type { transition as workerTransition } from "../../worker/core/transition.ts";
import { scheduleOf } from "./seeds.ts";
import { check } from "./simulate.ts";
import type { SimulationOptions } from "./simulate.ts";

/** What is broken at the moment; each takes the place of the function of its name, which it is given. */
const broken = vi.hoisted(() => ({
  coordinator: undefined as undefined | ((transition: typeof coordinatorTransition) => typeof coordinatorTransition),
  worker: undefined as undefined | ((transition: typeof workerTransition) => typeof workerTransition),
  addsOnArrival: false,
  dropsLastSample: false,
  takesDamage: false,
  mixesVersions: false,
}));

vi.mock(import("../../coordinator/core/transition.ts"), async (original) => {
  const { transition } = await original();
  return { transition: (...event) => (broken.coordinator?.(transition) ?? transition)(...event) };
});
vi.mock(import("../../worker/core/transition.ts"), async (original) => {
  const { transition } = await original();
  return { transition: (...event) => (broken.worker?.(transition) ?? transition)(...event) };
});
vi.mock(import("../../shared/gradient/plan.ts"), async (original) => {
  const plan = await original();
  const cutIntoShards: typeof plan.cutIntoShards = (samples, shards) => {
    const { sizes, starts } = plan.cutIntoShards(samples, shards);
    const isUneven = sizes[0] !== sizes.at(-1);
    return broken.dropsLastSample && isUneven
      ? { sizes: [...sizes.slice(0, -1), sizes.at(-1)! - 1], starts }
      : { sizes, starts };
  };
  return { ...plan, cutIntoShards };
});
vi.mock(import("../../shared/gradient/arrivals.ts"), async (original) => {
  const arrivals = await original();
  const signalOf: typeof arrivals.signalOf = (version, buckets) =>
    arrivals.signalOf(broken.mixesVersions ? 0 : version, buckets);
  return { ...arrivals, signalOf };
});
vi.mock(import("../../shared/gradient/reducer.ts"), async (original) => {
  const { TreeReducer } = await original();
  class ArrivalReducer extends TreeReducer {
    readonly #shards: number;
    readonly #addsOnArrival: boolean;
    readonly #combine: (left: number, right: number) => void;
    #sum: number | undefined;
    #added = 0;

    constructor(...given: ConstructorParameters<typeof TreeReducer>) {
      super(...given);
      const [shards, targets, combine] = given;
      this.#shards = shards;
      this.#combine = combine;
      // A worker's own subtrees stay in order.
      this.#addsOnArrival = broken.addsOnArrival && targets.some(({ start, end }) => end - start === shards);
    }

    override get waiting(): (typeof TreeReducer)["prototype"]["waiting"] {
      const node = { start: 0, end: this.#added };
      return this.#sum === undefined ? super.waiting : [{ node, buffer: this.#sum }];
    }

    override add(node: TreeNode, buffer: number): ReturnType<InstanceType<typeof TreeReducer>["add"]> {
      if (!this.#addsOnArrival) return super.add(node, buffer);
      if (this.#sum !== undefined) this.#combine(this.#sum, buffer);
      this.#sum ??= buffer;
      this.#added += node.end - node.start;
      return this.#added === this.#shards ? { node: { start: 0, end: this.#shards }, buffer: this.#sum } : undefined;
    }
  }
  return { TreeReducer: ArrivalReducer };
});
vi.mock(import("../../shared/protocol/assembly.ts"), async (original) => {
  const { Assembly } = await original();
  class BlindAssembly extends Assembly {
    readonly #target: CheckedVector;

    constructor(target: CheckedVector) {
      super(target);
      this.#target = target;
    }

    override take(segment: Segment, section: Uint8Array): "corrupt" | "partial" | "complete" {
      const taken = super.take(segment, section);
      if (taken !== "corrupt" || !broken.takesDamage) return taken;
      const { offset, length } = segment;
      return super.take({ ...segment, checksum: this.#target.checksum(offset, length).value }, section);
    }
  }
  return { Assembly: BlindAssembly };
});

beforeAll(async () => {
  // What is right is known before anything is broken.
  await check(scheduleOf(1));
});
afterEach(() => {
  const nothing = { coordinator: undefined, worker: undefined };
  Object.assign(broken, nothing, {
    addsOnArrival: false,
    dropsLastSample: false,
    takesDamage: false,
    mixesVersions: false,
  });
  vi.restoreAllMocks();
});

const SEEDS = 1_000;

/** Runs schedules until one fails with this symptom. Others may fail before, of what it leads to, such as a run that never ends. */
async function expectFound(symptom: RegExp, options: SimulationOptions = {}): Promise<void> {
  const others = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await check(scheduleOf(seed), options);
    } catch (error) {
      if (symptom.test(String(error))) return;
      others.add(String(error));
    }
  }
  expect.fail(`no schedule fails with ${symptom}; what they fail with: ${[...others].join("; ") || "nothing"}`);
}

test("the stale-step check is skipped", async () => {
  broken.coordinator = (step) => (state, event, now) => {
    if (event.type !== "message" || event.message.type !== "partial" || state.work === undefined)
      return step(state, event, now);
    return step(state, { ...event, message: { ...event.message, work: state.work.name } }, now);
  };
  await expectFound(/parameters hash|metrics|never computed|honest/);
});

test("partials are added in the order of their arrival", async () => {
  broken.addsOnArrival = true;
  await expectFound(/parameters hash|metrics|honest/);
});

test("a departed worker's lost pieces count as done", async () => {
  broken.coordinator = (step) => (state, event, now) => {
    if (event.type === "disconnected") {
      for (const piece of state.work?.pieces.values() ?? []) {
        if (piece.done || !piece.owners.includes(event.worker)) continue;
        piece.done = true;
        state.work!.left -= 1;
      }
    }
    return step(state, event, now);
  };
  await expectFound(/the sum is not complete/);
});

test("a duplicate is applied", async () => {
  broken.coordinator = (step) => (state, event, now) => {
    if (event.type === "message" && event.message.type === "partial") {
      const [start, end] = event.message.node;
      const piece = state.work?.pieces.get(nodeKey({ start, end }));
      if (piece?.done === true) Object.assign(piece, { done: false, held: [] });
    }
    return step(state, event, now);
  };
  await expectFound(/was added twice/);
});

test("lost and late pieces are given to nobody", async () => {
  broken.coordinator = (step) => (state, event, now) => {
    const effects = step(state, event, now);
    if (event.type !== "disconnected" && event.type !== "tick") return effects;
    return effects.filter((effect) => effect.type !== "send" || effect.message.type !== "assignment");
  };
  await expectFound(/not over|gave up/);
});

test("a worker computes before the parameters are here", async () => {
  broken.mixesVersions = true;
  await expectFound(/parameters hash|metrics|not finite|honest|not over/);
});

test("audited sums are used without being compared", async () => {
  broken.coordinator = (step) => (state, event, now) =>
    step(state, event.type === "compared" ? { ...event, groups: [event.groups.flat()] } : event, now);
  await expectFound(/parameters hash|metrics/);
});

test("sums that are not finite are used as they come", async () => {
  broken.coordinator = (step) => (state, event, now) =>
    step(state, event.type === "assembled" ? { ...event, finite: true } : event, now);
  await expectFound(/not finite/);
});

test("of two that differ the wrong one is believed", async () => {
  broken.coordinator = (step) => (state, event, now) => {
    if (event.type !== "judged" || event.right === undefined) return step(state, event, now);
    const piece = state.work?.pieces.get(nodeKey(event.node));
    const wrong = piece?.held.filter((worker) => !event.right!.includes(worker)) ?? [];
    return step(state, { ...event, right: wrong.length > 0 ? wrong : event.right }, now);
  };
  await expectFound(/honest/);
});

test("the last sample of an uneven batch is dropped", async () => {
  broken.dropsLastSample = true;
  await expectFound(/was committed and never computed/);
});

test("damaged bytes are taken", async () => {
  broken.takesDamage = true;
  await expectFound(/parameters hash|metrics|not finite|honest/);
});

test("what is frozen is taken to be there in both versions once one has come", async () => {
  broken.coordinator = (step) => (state, event, now) => {
    const effects = step(state, event, now);
    if (event.type === "assembled") state.members.get(event.worker)?.hasWhole.fill(true);
    return effects;
  };
  await expectFound(/though nothing has damaged it/);
});

test("a worker keeps the buffers of what it has sent", async () => {
  vi.spyOn(ComputePool.prototype, "release").mockReturnValue();
  await expectFound(/computes nothing and holds \d+ buffers/);
});

test("a worker frees a result twice", async () => {
  const release: ComputePool["release"] = Reflect.get(ComputePool.prototype, "release");
  vi.spyOn(ComputePool.prototype, "release").mockImplementation(function (this: ComputePool, ...given) {
    release.apply(this, given);
    release.apply(this, given);
  });
  await expectFound(/although it is not in use/);
});

const forgets = (change: (snapshot: Snapshot) => Partial<Snapshot>): SimulationOptions => ({
  restored: (snapshot) => ({ ...snapshot, ...change(snapshot) }),
});

test("a run resumes without the optimizer's state", async () => {
  const blank = forgets(({ state }) => ({
    state: state.map(({ name, vector }) => ({ name, vector: vector.fill(0) })),
  }));
  await expectFound(/parameters hash|metrics/, blank);
});

test("a run resumes without what it has summed of the epoch", async () => {
  const blank = forgets(({ steering }) => ({
    steering: { ...(steering as object), epochSums: { loss: 0, correct: 0, samples: 0 } },
  }));
  await expectFound(/metrics|epoch/, blank);
});

test("a run resumes without what it has watched of the epochs before", async () => {
  const blank = forgets(({ steering }) => ({ steering: { ...(steering as object), watch: freshWatch as never } }));
  await expectFound(/parameters hash|metrics/, blank);
});

test("a run resumes a step too far on", async () => {
  await expectFound(
    /used the samples/,
    forgets(({ step }) => ({ step: step + 1 })),
  );
});
