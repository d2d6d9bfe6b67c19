import { describe, expect, it } from "vitest";
import type { CoordinatorEffect } from "../../../coordinator/core/events.ts";
import type { Settings } from "../../../coordinator/core/settings.ts";
import { freshWatch } from "../../../coordinator/core/watch.ts";
import type { RunEvent } from "../../../coordinator/events.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { stepNumber, workerId } from "../../../shared/ids.ts";
import { MOST_WORKS_AHEAD } from "../../../shared/protocol/messages.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";

describe("a step", () => {
  it("goes from joining over assignment and partials to the commit and the next step", () => {
    const run = new CoordinatorTrace();
    expect(run.connect("a")).toEqual(["a ← challenge", "notify waiting"]);
    expect(run.hello("a")).toEqual(["a ← welcome"]);
    expect(run.ready("a")).toEqual([
      "notify worker-joined",
      "open train 0",
      "a ← assignment train 0: 0-4",
      "a ← parameters",
      "a ← assignment train 1: 0-4",
    ]);
    expect(run.segment("a", "0-4")).toEqual(["receive a 0-4"]);
    expect(run.assembled("a", "0-4")).toEqual(["fold a 0-4", "commit train 0"]);
    expect(run.committed()).toEqual(["open train 1", "a ← parameters upon the last", "record step 1", "notify step"]);
    expect(run.state.steps).toBe(1);
  });

  it("is assigned ahead, with as many more as are quickly done, up to where an epoch or an evaluation comes between", () => {
    const run = new CoordinatorTrace({ trainSamples: 80, testSamples: 0, epochs: 3 });
    expect(run.join("a").at(-1)).toBe("a ← assignment train 1: 0-4");
    const assignments = (): string[] => {
      run.now += 20;
      return run.finishWork().filter((line) => line.includes("assignment"));
    };
    // 100 ms of steps of 20 ms.
    expect(assignments()).toEqual(["a ← assignment train 2+4: 0-4"]);
    for (let step = 2; step < 6; step++) expect(assignments()).toEqual([]);
    expect(assignments()).toEqual(["a ← assignment train 7+2: 0-4"]);
    for (let step = 7; step < 9; step++) expect(assignments()).toEqual([]);
    expect(assignments()).toEqual(["a ← assignment train 10+4: 0-4"]);
    const evaluated = new CoordinatorTrace({ trainSamples: 8 });
    expect(evaluated.join("a").at(-1)).toBe("a ← parameters");
  });

  it("is assigned with as many as a message may name where they are the shortest; who comes has its share behind them", () => {
    const run = new CoordinatorTrace({ trainSamples: 80_000, testSamples: 0 });
    run.join("a");
    const next = (): string[] => {
      run.now += 0.25;
      return run.finishWork().filter((line) => line.includes("assignment"));
    };
    const first = 2 + MOST_WORKS_AHEAD;
    expect(next()).toEqual([`a ← assignment train 2+${MOST_WORKS_AHEAD - 1}: 0-4`]);
    run.join("b");
    for (let step = 2; step < first - 1; step++) expect(next()).toEqual([]);
    expect(next()).toEqual([
      `a ← assignment train ${first}+${MOST_WORKS_AHEAD - 1}: 0-2`,
      `b ← assignment train ${first}+${MOST_WORKS_AHEAD - 1}: 2-4`,
    ]);
    next();
    // What a worker had that is lost goes to the other, step by step as they are opened, until all are shared out anew.
    expect(run.disconnect("b")).toContain(`a ← assignment train ${first}: 2-4`);
    for (let step = first + 1; step < first + MOST_WORKS_AHEAD - 1; step++)
      expect(next()).toEqual([`a ← assignment train ${step}: 2-4`]);
    expect(next()).toEqual([
      `a ← assignment train ${first + MOST_WORKS_AHEAD}+${MOST_WORKS_AHEAD - 1}: 0-4`,
      `a ← assignment train ${first + MOST_WORKS_AHEAD - 1}: 2-4`,
    ]);
  });

  it("is not assigned ahead where there is none, or where it has not as many samples as the others named with it", () => {
    const run = new CoordinatorTrace({ trainSamples: 32, testSamples: 0, epochs: 1 });
    const assigned = run.join("a");
    while (run.state.phase !== "ended") {
      run.now += 20;
      assigned.push(...run.finishWork());
    }
    const assignments = (lines: readonly string[]): string[] => lines.filter((line) => line.includes("assignment"));
    expect(assignments(assigned)).toEqual([
      "a ← assignment train 0: 0-4",
      "a ← assignment train 1: 0-4",
      "a ← assignment train 2+1: 0-4",
    ]);
    const uneven = new CoordinatorTrace({ trainSamples: 28, testSamples: 0, epochs: 1 });
    uneven.join("a");
    uneven.now += 20;
    expect(assignments(uneven.finishWork())).toEqual(["a ← assignment train 2: 0-4"]);
  });

  it("is shared out by threads, and a surplus of workers stands by", () => {
    const run = new CoordinatorTrace({ startWorkers: 3 });
    run.join("a", 2);
    run.join("b");
    run.join("c");
    expect(run.owners()).toEqual({ "0-2": "a", "2-3": "b", "3-4": "c" });
    run.join("d");
    run.join("e");
    run.join("f");
    // The next step was assigned before they came; then follows an evaluation.
    for (let work = 0; work < 3; work++) run.finishWork();
    expect(run.state.work?.name).toEqual({ kind: "train", step: 2 });
    expect(Object.values(run.owners())).toHaveLength(4);
  });

  it("gives a late joiner its share once what was assigned before is done", () => {
    const run = new CoordinatorTrace({ trainSamples: 80 });
    run.join("a");
    expect(run.join("b")).toEqual(["notify worker-joined"]);
    run.now += 200;
    expect(run.finishWork()).toEqual([
      "open train 1",
      "a ← parameters",
      "a ← assignment train 2: 0-2",
      "b ← assignment train 2: 2-4",
      "record step 1",
      "notify step",
    ]);
    expect(run.finishWork().slice(0, 3)).toEqual(["open train 2", "a ← parameters", "b ← parameters"]);
  });

  it("sends the parameters once for an evaluation and the step after it", () => {
    const run = new CoordinatorTrace({ trainSamples: 8 });
    run.join("a");
    expect(run.finishWork()).toEqual([
      "open evaluate 1",
      "a ← assignment evaluate 1: 0-2",
      "a ← parameters",
      "record step 1",
      "notify step",
    ]);
    expect(run.finishWork()).toEqual(["open train 1", "a ← assignment train 1: 0-4", "record epoch 1", "notify epoch"]);
  });

  it("may be a single sample at the end of an epoch, and has a single shard then", () => {
    const run = new CoordinatorTrace({ trainSamples: 9 });
    run.join("a");
    run.join("b");
    run.finishWork();
    expect(run.state.work).toMatchObject({ samples: 1, shards: 1, offset: 8, epoch: 0 });
    expect(run.owners()).toEqual({ "0-1": "a" });
  });
});

describe("an evaluation", () => {
  /** After how many steps there is one, of two in an epoch. */
  function evaluatedAfter(changes: Partial<Settings>): number[] {
    const run = new CoordinatorTrace(changes);
    run.join("a");
    const after: number[] = [];
    while (run.state.phase !== "ended") {
      if (run.state.work!.name.kind === "evaluate") after.push(run.state.steps);
      run.finishWork();
    }
    return after;
  }

  it("comes after every so many epochs and after the last, or after the last alone", () => {
    expect(evaluatedAfter({ epochs: 5, evaluateEvery: 2 })).toEqual([4, 8, 10]);
    expect(evaluatedAfter({ epochs: 5, evaluateEvery: 0 })).toEqual([10]);
    expect(evaluatedAfter({ epochs: 2, testSamples: 0 })).toEqual([]);
  });

  it("is of all test samples, in chunks of which the last may be smaller", () => {
    const run = new CoordinatorTrace({ trainSamples: 8, testSamples: 7 });
    run.join("a");
    run.finishWork();
    expect(run.state.work).toMatchObject({ epoch: 0, offset: 0, samples: 7, shards: 3 });
  });
});

describe("what is said of a step and of an epoch", () => {
  it("are means over their samples, and the rate that the step was taken with", () => {
    const measured = { metrics: [{ kind: "topK", k: 1 }], target: { kind: "class", classes: 2 } } as const;
    const halved = {
      spec: { kind: "step", every: 1, factor: 0.5 },
      learningRate: 1,
      batch: 8,
      stepsPerEpoch: 2,
    } as const;
    const run = new CoordinatorTrace({ measured, schedule: { ...halved, epochs: 2 } });
    run.now = 1_000;
    run.join("a");
    const committed = (loss: number, correct: number, samples: number, evaluated = {}): RunEvent[] => {
      run.now += 100;
      return run.told({
        type: "committed",
        sums: { loss, correct, samples, evaluated },
        finite: true,
        isAsAdvanced: false,
      });
    };
    const constant = { epochs: 2, workers: 1 };
    const step = { type: "step", ...constant, steps: 4, samplesPerSecond: 80 };
    expect(committed(16, 2, 8)).toEqual([
      { ...step, step: 1, epoch: 1, loss: 2, accuracy: 0.25, learningRate: 1, secondsLeft: 24 / 80 },
    ]);
    expect(committed(8, 4, 8)).toEqual([
      { ...step, step: 2, epoch: 1, loss: 1, accuracy: 0.5, learningRate: 1, secondsLeft: 16 / 80 },
    ]);
    const epoch = { type: "epoch", epochs: 2, loss: 1.5, accuracy: 0.375 };
    expect(committed(3, 3, 6, { top1: [4] })).toEqual([
      { ...epoch, epoch: 1, testLoss: 0.5, testAccuracy: 0.5, testFigures: { top1: 4 / 6 }, seconds: 0.3 },
    ]);
    expect(committed(16, 2, 8)).toMatchObject([{ type: "step", step: 3, epoch: 2, learningRate: 0.5 }]);
    committed(8, 4, 8);
    expect(committed(6, 3, 6, { top1: [6] })).toMatchObject([
      { ...epoch, epoch: 2, testLoss: 1, testFigures: { top1: 1 }, seconds: 0.3 },
    ]);
  });
});

describe("what is said of time", () => {
  it("is what this run has taken, where it goes on from a checkpoint", () => {
    const run = new CoordinatorTrace({ trainSamples: 64 }, { steps: 3 });
    run.join("a");
    run.now += 100;
    const [step] = run.finishWorkFor("step");
    // 8 samples in a tenth of a second, and 96 of 128 to go.
    expect(step).toMatchObject({ step: 4, samplesPerSecond: 80, secondsLeft: 96 / 80 });
  });

  it("leaves out how long the first worker was waited for", () => {
    const run = new CoordinatorTrace({ trainSamples: 8, testSamples: 0 });
    run.now += 60_000;
    run.join("a");
    run.now += 100;
    const [epoch] = run.finishWorkFor("epoch");
    expect(epoch!.seconds).toBe(0.1);
  });
});

describe("a run's end", () => {
  it("comes after the last epoch's evaluation, with a checkpoint", () => {
    const run = new CoordinatorTrace({ epochs: 1, trainSamples: 8 });
    run.join("a");
    run.finishWork();
    const ended = ["record epoch 1", "notify epoch", "checkpoint", "a ← end completed", "a close", "finish completed"];
    expect(run.finishWork()).toEqual(ended);
    expect(run.feed({ type: "tick" })).toEqual([]);
    expect(run.disconnect("a")).toEqual([]);
    run.connect("b");
    expect(run.hello("b")).toEqual(["b proven", "b ← refused RUN_ENDED", "b close", "notify refused"]);
  });

  it("comes at once for a resumed run that had completed", () => {
    const run = new CoordinatorTrace({}, { steps: 4 });
    expect(run.feed({ type: "tick" })).toEqual(["finish completed"]);
  });

  it("comes after the open step when it is stopped, and at once when nobody is left to finish it", () => {
    const run = new CoordinatorTrace();
    run.join("a");
    expect(run.feed({ type: "stop", reason: "user" })).toEqual([]);
    expect(run.finishWork().slice(2)).toEqual(["checkpoint", "a ← end stopped", "a close", "finish stopped"]);

    const lonely = new CoordinatorTrace();
    lonely.join("a");
    lonely.feed({ type: "stop", reason: "user" });
    expect(lonely.disconnect("a")).toEqual(["notify worker-lost", "drop a 0-4", "finish stopped"]);
  });

  it("comes at once when it is stopped while it waits for workers", () => {
    const run = new CoordinatorTrace({ startWorkers: 2 });
    run.join("a");
    expect(run.feed({ type: "stop", reason: "user" })).toEqual(["a ← end stopped", "a close", "finish stopped"]);
  });

  it("is LOSS_NOT_FINITE when training diverges, and the parameters before it are saved", () => {
    const run = new CoordinatorTrace();
    run.join("a");
    run.finishWork();
    const before = run.state.steering;
    expect(run.finishWork(Number.NaN, false)).toEqual([
      "checkpoint",
      "a ← end failed",
      "a close",
      "finish LOSS_NOT_FINITE",
    ]);
    expect(run.state.steps).toBe(1);
    expect(run.state.steering).toBe(before);
    expect(String(run.state.stopRequested)).toContain("step 2 of training is not finite (mean loss NaN)");
    // Of a gradient that is not, the loss may yet be.
    const other = new CoordinatorTrace();
    other.join("a");
    other.finishWork(16, false);
    expect(String(other.state.stopRequested)).toContain("step 1 of training is not finite (mean loss 2)");
  });

  it("is what was asked for first", () => {
    const run = new CoordinatorTrace();
    run.join("a");
    run.feed({ type: "stop", reason: "user" });
    run.feed({ type: "stop", reason: new LockstepError("DISK_FAILED", "full") });
    expect(run.finishWork().at(-1)).toBe("finish stopped");
  });
});

describe("a checkpoint", () => {
  it("is asked for every so many steps", () => {
    const run = new CoordinatorTrace({ checkpointSteps: 2, testSamples: 0, trainSamples: 80 });
    run.join("a");
    const asked = [1, 2, 3, 4, 5].map(() => run.finishWork().includes("checkpoint"));
    expect(asked).toEqual([false, true, false, true, false]);
  });

  it("is asked for every so many seconds", () => {
    const run = new CoordinatorTrace({ checkpointEvery: 3_000, testSamples: 0, trainSamples: 80 });
    run.join("a");
    const asked = [1, 2, 3, 4, 5, 6].map(() => {
      run.pass(1_000);
      return run.finishWork().includes("checkpoint");
    });
    expect(asked).toEqual([false, false, true, false, false, true]);
  });

  it("at the end of an epoch comes after its evaluation, so that resuming begins the next epoch", () => {
    const run = new CoordinatorTrace({ checkpointSteps: 1, trainSamples: 8 });
    run.join("a");
    expect(run.finishWork()).not.toContain("checkpoint");
    expect(run.finishWork()).toContain("checkpoint");
    const { steering, steps } = run.state;
    expect(steering).toEqual({
      epochSums: { loss: 0, correct: 0, samples: 0 },
      lastEvaluation: { step: 1, loss: 8 / 6, accuracy: 4 / 6, figures: {} },
      watch: { ...freshWatch, best: { value: 8 / 6, step: 1 } },
    });
    const resumed = new CoordinatorTrace({ trainSamples: 8 }, { steps, steering });
    expect(resumed.join("a")).toContain("open train 1");
    expect(resumed.state.work).toMatchObject({ epoch: 1, offset: 0 });
  });

  it("taken when nobody was left to evaluate is resumed with that evaluation, also after the last epoch", () => {
    for (const epochs of [1, 2]) {
      const run = new CoordinatorTrace({ epochs, trainSamples: 8 });
      run.join("a");
      run.finishWork(16);
      run.feed({ type: "stop", reason: "user" });
      expect(run.disconnect("a")).toEqual(["notify worker-lost", "drop a 0-2", "checkpoint", "finish stopped"]);
      const { steps, steering } = run.state;
      const resumed = new CoordinatorTrace({ epochs, trainSamples: 8 }, { steps, steering });
      expect(resumed.join("a")).toContain("open evaluate 1");
      const told = resumed.finishWork().filter((effect) => effect.endsWith("epoch") || effect.startsWith("record"));
      expect(told).toEqual(["record epoch 1", "notify epoch"]);
      expect(resumed.state.steering.epochSums.samples).toBe(0);
    }
  });

  it("of an evaluation that was owed is taken although the parameters are on disk already", () => {
    const settings = { epochs: 1, trainSamples: 8 };
    const run = new CoordinatorTrace(settings);
    run.join("a");
    run.finishWork(16);
    run.feed({ type: "stop", reason: "user" });
    run.disconnect("a");
    const { steps, steering } = run.state;
    const resumed = new CoordinatorTrace(settings, { steps, steering });
    resumed.join("a");
    expect(resumed.finishWork()).toContain("checkpoint");
    const again = new CoordinatorTrace(settings, { steps, steering: resumed.state.steering });
    expect(again.feed({ type: "tick" })).toContain("finish completed");
  });

  it("sends no parameters to who shares its memory, and takes what is placed there as what is sent", () => {
    const run = new CoordinatorTrace();
    run.connect("a");
    run.hello("a");
    expect(run.ready("a", { sharesMemory: true })).toEqual([
      "notify worker-joined",
      "open train 0",
      "a ← assignment train 0: 0-4",
      "a ← assignment train 1: 0-4",
    ]);
    expect(run.placed("a", "0-4")).toEqual(["receive a 0-4"]);
    expect(run.placed("a", "0-2")).toEqual(["a ← PARTIAL_STALE train 0: 0-2"]);
    run.assembled("a", "0-4");
    expect(run.placed("a", "0-4")).toEqual(["a ← PARTIAL_DUPLICATE train 0: 0-4"]);
  });
});

describe("what is frozen among the parameters", () => {
  const sentIn = (effects: readonly CoordinatorEffect[]): string[] =>
    effects.flatMap((effect) => (effect.type === "send-parameters" ? [`${effect.worker} ${effect.part}`] : []));

  /** Which part of them each worker is sent for the work that follows the open one. */
  function sentNext(run: CoordinatorTrace): string[] {
    for (const [node, owner] of Object.entries(run.owners())) run.assembled(owner, node);
    const sums = { loss: 8, correct: 4, samples: 8 };
    return sentIn(run.effects({ type: "committed", sums, finite: true, isAsAdvanced: false }));
  }

  it("is sent to each worker until it has computed with an even and with an odd version", () => {
    const run = new CoordinatorTrace({ trainSamples: 48, epochs: 1, testSamples: 0, startWorkers: 2 });
    run.join("a");
    run.join("b");
    expect(sentNext(run)).toEqual(["a whole", "b whole"]);
    expect(sentNext(run)).toEqual(["a trained", "b trained"]);
    // So is one that comes later, with whichever it begins.
    run.join("c");
    const lost = run.effects({ type: "disconnected", worker: workerId("b"), reason: "gone" });
    expect(sentIn(lost)).toEqual(["c whole"]);
  });
});

describe("a checkpoint that is asked for while a step is open", () => {
  it("is written before that step begins anew, where its sums are spoiled", () => {
    const run = new CoordinatorTrace({ trainSamples: 64, batch: 8 });
    run.join("a");
    run.finishWork();
    run.feed({ type: "save" });
    expect(run.feed({ type: "spoiled", by: [] }).slice(0, 3)).toEqual([
      "notify warning LOSS_NOT_FINITE",
      "checkpoint",
      "open train 1",
    ]);
  });

  it("is written behind the step's line, which it holds", () => {
    const run = new CoordinatorTrace({ trainSamples: 64, batch: 8 });
    run.join("a");
    expect(run.feed({ type: "save" })).toEqual([]);
    expect(run.finishWork()).toEqual([
      "open train 1",
      "a ← parameters",
      "a ← assignment train 2+5: 0-4",
      "record step 1",
      "notify step",
      "checkpoint",
    ]);
    expect(run.finishWork()).not.toContain("checkpoint");
  });

  it("is written behind the epoch's line and its best parameters", () => {
    const run = new CoordinatorTrace({ trainSamples: 8, epochs: 3, keepBest: true });
    run.join("a");
    run.finishWork();
    run.feed({ type: "save" });
    const told = run.finishWork().filter((effect) => !/^(?:open|a ←)/.test(effect));
    expect(told).toEqual(["record epoch 1", "notify epoch", "keep-best", "checkpoint"]);
  });
});

describe("the end of the next parameters", () => {
  /** A run whose workers have computed an even and an odd step, the third of six being open. */
  function inTheMidst(...workers: string[]): CoordinatorTrace {
    const run = new CoordinatorTrace({ trainSamples: 48, epochs: 1, testSamples: 0, startWorkers: workers.length });
    for (const worker of workers) run.join(worker);
    run.finishWork();
    run.finishWork();
    return run;
  }

  it("is sent ahead to who works on the step, and the rest once it is taken", () => {
    const run = inTheMidst("a", "b");
    expect(run.advanced(3000)).toEqual(["a ← ahead 3000-", "b ← ahead 3000-"]);
    expect(run.advanced(2000)).toEqual(["a ← ahead 2000-3000", "b ← ahead 2000-3000"]);
    expect(run.finishWork(8, true, true).slice(0, 3)).toEqual([
      "open train 3",
      "a ← parameters 2000",
      "b ← parameters 2000",
    ]);
    // The next version begins anew.
    expect(run.advanced(1000)).toEqual(["a ← ahead 1000-", "b ← ahead 1000-"]);
    expect(run.finishWork(8, true, true)).toContain("a ← parameters 1000");
    expect(run.finishWork()).toContain("a ← parameters");
  });

  it("is sent upon the last ones to who has sent of a sum that was computed with them, as is the rest", () => {
    const run = inTheMidst("a", "b");
    run.segment("a", "0-2");
    expect(run.advanced(3000)).toEqual(["a ← ahead 3000- upon the last", "b ← ahead 3000-"]);
    expect(run.finishWork(8, true, true).slice(1, 3)).toEqual([
      "a ← parameters 3000 upon the last",
      "b ← parameters 3000",
    ]);
    // Of these nobody has sent anything.
    expect(run.advanced(3000)).toEqual(["a ← ahead 3000-", "b ← ahead 3000-"]);
    run.segment("b", "0-2");
    expect(run.finishWork(8, true, true).slice(1, 3)).toEqual(["a ← parameters 3000", "b ← parameters 3000"]);
  });

  it("comes again, with all the rest, if it was not kept", () => {
    const run = inTheMidst("a", "b");
    run.advanced(3000);
    expect(run.disconnect("b")).toEqual(["notify worker-lost", "drop b 2-4", "a ← assignment train 2: 2-4"]);
    run.join("c");
    expect(run.finishWork()).toContain("a ← parameters again");
    // Who was sent nothing ahead gets all of them once.
    expect(run.finishWork().filter((line) => line.includes("parameters"))).toEqual([
      "a ← parameters",
      "c ← parameters",
    ]);
  });

  it("comes again when the step is begun anew", () => {
    const run = inTheMidst("a");
    run.advanced(3000);
    expect(run.feed({ type: "spoiled", by: [] })).toContain("open train 2");
    expect(run.finishWork()).toContain("a ← parameters again");
  });

  it("is sent to nobody who may lack what is frozen, shares memory, or is idle, nor twice", () => {
    const run = new CoordinatorTrace({ trainSamples: 48, epochs: 1, startWorkers: 2 });
    run.join("a");
    run.connect("s");
    run.hello("s");
    run.ready("s", { sharesMemory: true });
    run.connect("l", { isLocal: true });
    run.hello("l");
    run.ready("l");
    Object.assign(run.state.members.get(workerId("l"))!, { sentVersion: 0, hasWhole: [true, true] });
    // Version 1 is the first odd one.
    expect(run.advanced(3000)).toEqual([]);
    run.finishWork();
    run.join("late");
    // As if it had computed before: it may yet be sent the current ones, which must not come behind the next.
    run.state.members.get(workerId("late"))!.hasWhole.fill(true);
    expect(run.advanced(3000)).toEqual(["a ← ahead 3000-"]);
    // Of another step, it is old news.
    expect(run.advanced(3000, { kind: "train", step: stepNumber(0) })).toEqual([]);
  });

  it("is sent to nobody when no step follows", () => {
    const run = inTheMidst("a");
    for (let step = 3; step < 6; step++) run.finishWork();
    expect(run.state.work?.name.step).toBe(5);
    expect(run.advanced(3000)).toEqual([]);
    const stopped = inTheMidst("a");
    stopped.feed({ type: "stop", reason: "user" });
    expect(stopped.advanced(3000)).toEqual([]);
    // An evaluation needs them too.
    const evaluated = new CoordinatorTrace({ trainSamples: 24, epochs: 1 });
    evaluated.join("a");
    evaluated.finishWork();
    evaluated.finishWork();
    expect(evaluated.advanced(3000)).toEqual(["a ← ahead 3000-"]);
    expect(evaluated.finishWork(8, true, true)).toContain("a ← parameters 3000");
  });
});
