/**
 * A run from its config to its model files: reads the data, makes or opens the run folder, starts the server, the local
 * workers and the runtime, and cleans up after them however the run ends.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { systemClock } from "../shared/clock.ts";
import { openData } from "../shared/data/open.ts";
import type { OpenedData } from "../shared/data/open.ts";
import { LockstepError } from "../shared/errors.ts";
import { partialLayouts } from "../shared/gradient/partial.ts";
import type { PartialLayouts } from "../shared/gradient/partial.ts";
import { encodeGraph } from "../shared/graph/serialise.ts";
import { runId, stepNumber } from "../shared/ids.ts";
import { instantiateKernels } from "../shared/kernels/index.ts";
import { Arena } from "../shared/memory/arena.ts";
import { tuneGarbageCollection } from "../shared/memory/garbage.ts";
import { parametersSha256 } from "../shared/memory/layout.ts";
import { initialParameters } from "../shared/nn/model.ts";
import type { CompiledModel } from "../shared/nn/model.ts";
import { optimizerOf } from "../shared/optim/optimizer.ts";
import type { RunPlan } from "../shared/protocol/messages.ts";
import { version } from "../shared/version.ts";
import type { RunConfig } from "./config.ts";
import { batchOf, samplesIn, totalSteps } from "./core/schedule.ts";
import { initialState, noSums } from "./core/state.ts";
import type { CoordinatorState, Settings, Steering } from "./core/state.ts";
import type { RunEvent, RunResult } from "./events.ts";
import { startLocalWorkers } from "./local-workers.ts";
import { modelFor } from "./model.ts";
import { ParameterStore, parameterBytes } from "./parameters.ts";
import { Recorder } from "./recorder.ts";
import { Reduction, reductionBytes } from "./reduction.ts";
import { createRun, resumeRun } from "./run/folder.ts";
import type { RunFolder } from "./run/folder.ts";
import { CoordinatorRuntime } from "./runtime.ts";
import { listen } from "./server.ts";

/** Samples of one shard of an evaluation: part of the arithmetic, so it never changes. */
export const EVALUATION_CHUNK = 250;
/** How long a run waits for all its local workers before it starts with those it has, in milliseconds. */
const GATHER_FOR = 20_000;

export interface StartOptions {
  readonly config: RunConfig;
  /** Go on from the newest checkpoint of the run folder. */
  readonly resume: boolean;
  /** Worker processes to start on this machine; 0 when they join from elsewhere. */
  readonly localWorkers: number;
  readonly onEvent?: (event: RunEvent) => void;
}

export interface RunHandle {
  /** ws://host:port for workers. */
  readonly url: string;
  /** Rejects with the LockstepError that ended the run. */
  readonly finished: Promise<RunResult>;
  /** Ends the run after the open step, with a checkpoint; `finished` resolves with the outcome `stopped`. */
  stop(): void;
}

/** Starts a run. Rejects with a LockstepError when it can't be started. */
export async function startRun(options: StartOptions): Promise<RunHandle> {
  tuneGarbageCollection();
  const { config } = options;
  const notify = options.onEvent ?? (() => {});
  const data = await openData(config.data);
  notify({ type: "data", train: data.train.length, test: data.test?.length, sha256: data.sha256 });
  const model = modelFor(config, data.train);
  const layouts = partialLayouts(model.parameters, model.metrics);
  const folder = await openFolder(options, data, layouts);
  try {
    return await startIn(folder, options, data, model, layouts, notify);
  } catch (error) {
    await folder.close();
    throw error;
  }
}

/** What the manifest says besides the config; the fingerprint joins it with the first worker. */
interface Manifest {
  readonly run: string;
  readonly fingerprint?: string;
}

function openFolder({ config, resume }: StartOptions, data: OpenedData, layouts: PartialLayouts): Promise<RunFolder> {
  const path = join(config.runs, config.name);
  if (resume) return resumeRun(path);
  const { seed, shards, batch, exact } = config;
  const manifest = {
    run: randomUUID(),
    lockstep: version,
    node: process.version,
    created: new Date().toISOString(),
    seed,
    batch,
    shards,
    exact,
    dataSha256: data.sha256,
    layoutHash: layouts.parameters.hash,
    parameters: parameterCount(layouts),
  };
  return createRun(path, { config, manifest });
}

const parameterCount = (layouts: PartialLayouts): number =>
  layouts.parameters.slots.reduce((sum, { length }) => sum + length, 0);

function settingsOf(
  config: RunConfig,
  run: string,
  data: OpenedData,
  layouts: PartialLayouts,
  model: CompiledModel,
  local: number,
): Settings {
  return {
    run: runId(run),
    version,
    dataSha256: data.sha256,
    layoutHash: layouts.parameters.hash,
    batch: config.batch,
    shards: config.shards,
    epochs: config.epochs,
    trainSamples: data.train.length,
    testSamples: data.test?.length ?? 0,
    evaluationChunk: EVALUATION_CHUNK,
    evaluateEvery: config.evaluateEvery,
    countsCorrect: model.metrics.includes("correct"),
    minWorkers: config.minWorkers,
    startWorkers: Math.max(config.minWorkers, local),
    gatherFor: GATHER_FOR,
    checkpointSteps: config.checkpoint.everySteps,
    checkpointEvery: 1000 * config.checkpoint.everySeconds,
    exact: config.exact,
  };
}

function planOf(config: RunConfig, settings: Settings, model: CompiledModel): RunPlan {
  return {
    seed: config.seed,
    data: config.data,
    dataSha256: settings.dataSha256,
    train: encodeGraph(model.train),
    evaluate: encodeGraph(model.evaluate),
    parameters: model.parameters.map(({ name, shape }) => ({ name, shape })),
    layoutHash: settings.layoutHash,
    metrics: model.metrics,
    batch: batchOf(settings, 0).samples,
    shards: config.shards,
  };
}

async function startIn(
  folder: RunFolder,
  options: StartOptions,
  data: OpenedData,
  model: CompiledModel,
  layouts: PartialLayouts,
  notify: (event: RunEvent) => void,
): Promise<RunHandle> {
  const { config, resume, localWorkers } = options;
  const manifest = folder.manifest as Manifest;
  const settings = settingsOf(config, manifest.run, data, layouts, model, localWorkers);
  const optimizer = optimizerOf(config.optimizer);
  const shards = {
    train: config.shards,
    evaluate: Math.max(1, Math.ceil(settings.testSamples / EVALUATION_CHUNK)),
  };
  const arena = new Arena(parameterBytes(layouts.parameters, optimizer) + reductionBytes(layouts, shards));
  const kernels = instantiateKernels(arena.memory);
  const store = new ParameterStore(arena, kernels, layouts.parameters, optimizer, config.optimizer.learningRate);
  const recorder = new Recorder({ folder, store, keep: config.checkpoint.keep, run: manifest.run, notify });

  const snapshot = resume ? await recorder.newest() : undefined;
  const steering = (snapshot?.steering as Steering | undefined) ?? { epochSums: noSums, lastEvaluation: undefined };
  if (snapshot === undefined) initialParameters(model, layouts.parameters, config.seed, store.vector);
  else store.restore(snapshot);
  const steps = stepNumber(snapshot?.step ?? 0);
  const state = initialState(settings, { steps, steering, fingerprint: manifest.fingerprint }, systemClock.now());
  await recorder.open(steps);

  const runtime = new CoordinatorRuntime({
    state,
    plan: planOf(config, settings, model),
    layouts,
    arena,
    kernels,
    store,
    reduction: new Reduction(arena, kernels, layouts, shards),
    clock: systemClock,
    notify(event) {
      // The first worker's arithmetic is the run's: also after a restart.
      if (event.type === "worker-joined" && manifest.fingerprint === undefined) recorder.remember(state.fingerprint!);
      notify(event);
    },
    record: (line) => recorder.append(line),
    checkpoint: () => recorder.checkpoint(state),
  });
  const server = await listen(config.host, config.port, runtime);
  notify({
    type: "listening",
    url: server.url,
    folder: folder.path,
    parameters: parameterCount(layouts),
    steps: totalSteps(settings),
    resumedAt: snapshot?.step,
  });
  const workers = startLocalWorkers(server.url, localWorkers, config.threads, (error) => runtime.stop(error));

  const finish = async (): Promise<RunResult> => {
    try {
      const outcome = await runtime.finished;
      const seconds = secondsOf(state);
      await workers.close();
      await recorder.close();
      if (outcome instanceof LockstepError) throw outcome;
      const models = outcome === "completed" ? await recorder.writeModels(model, data.train.sampleShape) : [];
      const since = state.trainingSince?.steps ?? state.steps;
      const result: RunResult = {
        outcome,
        steps: state.steps,
        epochs: batchOf(settings, state.steps).epoch,
        testLoss: state.steering.lastEvaluation?.loss,
        testAccuracy: state.steering.lastEvaluation?.accuracy,
        seconds,
        samplesPerSecond: (samplesIn(settings, state.steps) - samplesIn(settings, since)) / Math.max(seconds, 1e-3),
        parametersSha256: parametersSha256(layouts.parameters, store.vector),
        folder: folder.path,
        models,
        profile: runtime.profiler.profile,
      };
      notify({ type: "finished", result });
      return result;
    } finally {
      await workers.close();
      await server.close();
      await folder.close();
    }
  };
  return { url: server.url, finished: finish(), stop: () => runtime.stop("user") };
}

const secondsOf = (state: CoordinatorState): number =>
  state.trainingSince === undefined ? 0 : (systemClock.now() - state.trainingSince.at) / 1000;
