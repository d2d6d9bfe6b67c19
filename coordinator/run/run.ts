/**
 * A run from its config to its model files: reads the data, listens, makes or opens the run folder, starts the runtime and
 * the local workers, and cleans up after them however the run ends.
 */
import { randomBytes } from "node:crypto";
import { systemClock } from "../../shared/clock.ts";
import { ComputePool } from "../../shared/compute/pool.ts";
import { piscinaThreads } from "../../shared/compute/threads.ts";
import { LockstepError } from "../../shared/errors.ts";
import { vectorBytes } from "../../shared/gradient/partial.ts";
import { readToken } from "../../shared/token.ts";
import { compileSooner, tuneGarbageCollection } from "../../shared/v8.ts";
import type { RunConfig } from "../config/config.ts";
import { owesEvaluation, totalSteps } from "../core/epochs.ts";
import { isOver } from "../core/progress.ts";
import { initialState } from "../core/initial-state.ts";
import { readyMembers } from "../core/state.ts";
import type { CoordinatorState } from "../core/state.ts";
import { rateAfter } from "../core/steering.ts";
import type { RunEvent, RunProfile, RunResult } from "../events.ts";
import { EngineReferee } from "../exchange/referee.ts";
import type { Referee } from "../exchange/referee.ts";
import { siteOf } from "../http/routes.ts";
import { Certificate } from "../server/certificate.ts";
import type { RunView } from "../http/view.ts";
import { startLocalWorkers } from "../local-workers/local-workers.ts";
import type { LocalWorkers } from "../local-workers/local-workers.ts";
import type { Manifest } from "../run-folder/manifest.ts";
import { CoordinatorRuntime } from "../runtime.ts";
import { Audience } from "./audience.ts";
import { openDoors } from "./doors.ts";
import type { Doors } from "./doors.ts";
import { openFolder, reopen } from "./folder.ts";
import { ingredientsOf } from "./ingredients.ts";
import type { Ingredients } from "./ingredients.ts";
import { keepLogs } from "./logs.ts";
import type { Logs } from "./logs.ts";
import { machineryOf } from "./machinery.ts";
import { firstManifest, frozenCount, parameterCount, planOf, settingsOf, shardsOf } from "./plan.ts";
import { Recorder } from "./recorder.ts";
import { restore } from "./restore.ts";
import { resultOf, secondsOf } from "./result.ts";
import type { Ended } from "./result.ts";
import { checkSendable } from "./sendable.ts";

export interface StartOptions {
  readonly config: RunConfig;
  /** Nobody chose the name of a new run: where another one has it by now, it takes the next. */
  readonly mayRename?: boolean;
  /** Go on from the newest checkpoint of the run folder. */
  readonly resume: boolean;
  /** Worker processes to start on this machine; 0 when they join from elsewhere. */
  readonly localWorkers: number;
  readonly onEvent?: (event: RunEvent) => void;
  /** Writes down when who did what in every step: into this new file, or `true`: into trace.json of the run folder. */
  readonly trace?: string | true | undefined;
}

export interface RunHandle {
  /** ws://host:port for workers. */
  readonly url: string;
  /** Rejects with the LockstepError that ended the run, or with what `onEvent` threw or its promise rejected with. */
  readonly finished: Promise<RunResult>;
  /** Where the time of the steps went so far. */
  profile(): RunProfile;
  /** Ends the run after the open step, with a checkpoint; `finished` resolves with the outcome `stopped`. */
  stop(): void;
}

/** Starts a run. Rejects with a LockstepError when it can't be started; nothing is then left behind. */
export async function startRun(options: StartOptions): Promise<RunHandle> {
  tuneGarbageCollection();
  const { config, resume, localWorkers, onEvent } = options;
  const audience = new Audience(onEvent);
  await using cleanUp = new AsyncDisposableStack();
  const token = readToken(config.tokenFile, process.env);
  const certificate = config.tls === undefined ? undefined : new Certificate(config.tls);
  // First, so that the data is closed last: all that is opened later may read it.
  const ingredients = await ingredientsOf(config, resume, audience.notify, cleanUp);
  // The port first: when it is in use there is no run, and no folder of one.
  const { host, port, maxConnections } = config;
  const partialBytes = vectorBytes(ingredients.layouts.partial.train);
  const tls = certificate?.material;
  const doors = await openDoors({ host, port, token, tls, maxConnections, partialBytes }, localWorkers, cleanUp);
  const unwatch = certificate?.watch({
    onRenewed: (material) => doors.outer.server.renew(material),
    onFailure: ({ code, message }) =>
      audience.notify({
        type: "warning",
        code,
        message: `${message}: the certificate that was read before stays in use`,
      }),
  });
  cleanUp.defer(() => unwatch?.());
  return await startAt(doors, ingredients, options, audience, cleanUp);
}

/** Takes the run up at its doors; the core begins to train once workers are there. */
async function startAt(
  { outer, own }: Doors,
  ingredients: Ingredients,
  { mayRename = false, resume, localWorkers, trace: wantsTrace }: StartOptions,
  audience: Audience,
  cleanUp: AsyncDisposableStack,
): Promise<RunHandle> {
  const { notify } = audience;
  const { config: asked, data, layouts } = ingredients;
  const resumed = resume ? await reopen(ingredients, cleanUp) : undefined;
  const manifest = { ...(resumed?.manifest ?? firstManifest(ingredients)), exact: asked.exact };
  // Whatever may be wrong with the config is found before the folder has it, or has the name.
  const settings = settingsOf(ingredients, manifest.run, localWorkers);
  const plan = planOf(ingredients, settings, wantsTrace !== undefined);
  checkSendable(plan, layouts);
  const machinery = machineryOf(asked, layouts, shardsOf(settings), (done) => rateAfter(state, done));
  cleanUp.defer(() => machinery.memory?.close());
  cleanUp.defer(() => machinery.crew.close());
  const { store } = machinery;
  const opened = await openFolder(ingredients, { manifest, resumed, mayRename, trace: wantsTrace }, cleanUp);
  const { folder, config, trace } = opened;
  const recorder = new Recorder({ folder, manifest, store, keep: config.checkpoint.keep, notify });
  const { steps, steering, resumedAt } = await restore(ingredients, manifest, { store, recorder }, resume);
  const { fingerprint, quarantined = [] } = manifest;
  // Which partials are audited must not be foreseen by those who know the seed.
  const auditKey = randomBytes(6).readUIntBE(0, 6);
  const state = initialState(settings, { steps, steering, fingerprint, quarantined, auditKey }, systemClock.now());
  await recorder.open(steps, owesEvaluation(state));

  const referee = new EngineReferee((onFailure) => new ComputePool(plan, 1, data, piscinaThreads(1), onFailure));
  compileSooner({ well: plan.isLong && machinery.memory === undefined });
  const runtime = new CoordinatorRuntime({
    ...machinery,
    state,
    plan,
    referee,
    clock: systemClock,
    notify(event) {
      if (event.type === "worker-joined" || event.type === "quarantined") recorder.remember(state);
      notify(event);
      if (event.type === "quarantined" && workers.abandon(event.worker)) goOnWithout(state, runtime, notify);
    },
    record: (line) => recorder.append(line),
    checkpoint: (onFailed) => recorder.checkpoint(state, onFailed),
    keepBest: () => recorder.keepBest(state),
  });
  cleanUp.defer(() => runtime.close());
  const running = { ingredients, config, manifest, folder: folder.path, state, store, recorder, referee, runtime };
  const site = siteOf(viewOf(running, audience, cleanUp));
  const wanted = { folder, steps, tensorboard: config.tensorboard, trace };
  const logs = keepLogs(wanted, { state, runtime, recorder }, audience, cleanUp);
  for (const { server } of new Set([outer, own])) server.serve(runtime, site);
  const { url } = outer.server;
  const [parameters, frozen] = [parameterCount(layouts), frozenCount(layouts)];
  const all = totalSteps(settings);
  notify({ type: "listening", url, folder: folder.path, parameters, frozen, steps: all, resumedAt });
  if (trace !== undefined) notify({ type: "tracing", file: trace.path });
  audience.onFailure(() => runtime.stop("user"));
  const workers = startLocalWorkers(
    { url: own.server.url, token: own.token, threads: config.threads },
    isOver(state) ? 0 : localWorkers,
    (error) => runtime.stop(error),
  );
  cleanUp.defer(() => workers.close());
  return {
    url,
    finished: finish(running, workers, logs, audience, cleanUp.move()),
    profile: () => runtime.profiler.profile,
    stop: () => runtime.stop("user"),
  };
}

/** The last worker that the run started itself is in quarantine: those from elsewhere go on, if there are any. */
function goOnWithout(state: CoordinatorState, runtime: CoordinatorRuntime, notify: Audience["notify"]): void {
  const code = "WORKERS_EXHAUSTED";
  const others = readyMembers(state).length;
  if (others > 0) {
    const message = `every local worker sent wrong gradients: the run goes on with ${others} from elsewhere`;
    notify({ type: "warning", code, message });
    return;
  }
  const sentence = "every local worker sent wrong gradients, and none is left to compute";
  runtime.stop(new LockstepError(code, sentence, "check this machine's memory and processor"));
}

/** A run that has been started. */
interface Running extends Ended {
  readonly ingredients: Ingredients;
  /** With the name that the run has now. */
  readonly config: RunConfig;
  readonly manifest: Manifest;
  readonly referee: Referee;
  readonly runtime: CoordinatorRuntime;
}

/** The run as its pages see it. */
function viewOf(
  { ingredients: { data, model, layouts }, config, manifest, folder, state, store, runtime }: Running,
  { watchers }: Audience,
  cleanUp: AsyncDisposableStack,
): RunView {
  return {
    config,
    manifest,
    data,
    model,
    state,
    folder,
    parameters: parameterCount(layouts),
    steps: totalSteps(state.settings),
    sampleShape: data.train.sampleShape,
    target: data.train.target,
    profile: () => runtime.profiler.profile,
    parametersNow: () => Float32Array.from(store.vector),
    now: () => systemClock.now(),
    observe: (observer) => runtime.observe(observer),
    link: (worker) => runtime.link(worker),
    ping: (worker) => runtime.ping(worker),
    command: (command) => (command === "stop" ? runtime.stop("user") : runtime.command(command)),
    onClose: (action) => cleanUp.defer(action),
    watch(watcher) {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
  };
}

/** Waits for the run's end, and tells of it. */
async function finish(
  running: Running,
  workers: LocalWorkers,
  logs: Logs,
  audience: Audience,
  open: AsyncDisposableStack,
): Promise<RunResult> {
  const { notify } = audience;
  await using _ = open;
  let result: RunResult;
  try {
    result = await ended(running, workers, logs, audience);
  } catch (error) {
    if (error instanceof LockstepError) notify({ type: "failed", code: error.code, message: error.message });
    throw error;
  }
  notify({ type: "finished", result });
  await audience.finished();
  return result;
}

/** Waits for the end of training, then for everything that the run leaves. */
async function ended(
  { ingredients, state, store, recorder, referee, runtime, folder }: Running,
  workers: LocalWorkers,
  logs: Logs,
  audience: Audience,
): Promise<RunResult> {
  const outcome = await runtime.finished;
  const seconds = secondsOf(state);
  await workers.close();
  await referee.close();
  const unsaved = await recorder.close();
  // What they cannot write is told before the end is.
  await logs.close();
  if (outcome instanceof LockstepError) throw outcome;
  audience.check();
  // Whoever stops a run counts on the checkpoint that it ends with.
  if (outcome === "stopped" && unsaved !== undefined) throw unsaved;
  const { profile } = runtime.profiler;
  return resultOf({ outcome, seconds, profile }, ingredients, { state, store, recorder, folder });
}
