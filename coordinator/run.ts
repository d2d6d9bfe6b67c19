/**
 * A run from its config to its model files: reads the data, listens, makes or opens the run folder, starts the runtime and
 * the local workers, and cleans up after them however the run ends.
 */
import { randomBytes } from "node:crypto";
import { basename, join } from "node:path";
import { systemClock } from "../shared/clock.ts";
import { ComputePool } from "../shared/compute/pool.ts";
import { piscinaThreads } from "../shared/compute/threads.ts";
import { openData } from "../shared/data/open.ts";
import { readingOf } from "../shared/data/reading.ts";
import { LockstepError } from "../shared/errors.ts";
import { partialLayouts, vectorBytes } from "../shared/gradient/partial.ts";
import { stepNumber } from "../shared/ids.ts";
import { compileSooner, tuneGarbageCollection } from "../shared/v8.ts";
import { initialParameters } from "../shared/nn/model.ts";
import { JoinToken } from "../shared/protocol/handshake.ts";
import { readTls } from "../shared/tls.ts";
import { readToken } from "../shared/token.ts";
import { Audience } from "./audience.ts";
import { checkLookups } from "./check-lookups.ts";
import { checkTargets } from "./check-targets.ts";
import type { RunConfig } from "./config.ts";
import { isOver } from "./core/progress.ts";
import { totalSteps } from "./core/schedule.ts";
import { rateAfter } from "./core/steering.ts";
import { initialState, steeringFrom } from "./core/state.ts";
import type { Steering } from "./core/state.ts";
import type { RunEvent, RunProfile, RunResult } from "./events.ts";
import { siteOf } from "./http/routes.ts";
import { startLocalWorkers } from "./local-workers.ts";
import { keepLogs } from "./logs.ts";
import { machineryOf } from "./machinery.ts";
import { modelFor, withGraphs, withLayers } from "./model.ts";
import { checkSameData, newFolder } from "./opening.ts";
import { EVALUATION_CHUNK, firstManifest, frozenCount, parameterCount, planOf, settingsOf } from "./plan.ts";
import type { Ingredients } from "./plan.ts";
import { Recorder } from "./recorder.ts";
import { EngineReferee } from "./referee.ts";
import { resultOf, secondsOf } from "./result.ts";
import { checkSendable } from "./sendable.ts";
import { checkSameStart, startOf } from "./starting.ts";
import { resumeRun } from "./run-folder/folder.ts";
import type { RunFolder } from "./run-folder/folder.ts";
import { CoordinatorRuntime } from "./runtime.ts";
import { listen } from "./server.ts";
import type { ListenOptions, Server } from "./server.ts";
import { TraceFile } from "./tracing/trace-file.ts";

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
  /** Rejects with the LockstepError that ended the run, or with what `onEvent` threw. */
  readonly finished: Promise<RunResult>;
  /** Where the time of the steps went so far. */
  profile(): RunProfile;
  /** Ends the run after the open step, with a checkpoint; `finished` resolves with the outcome `stopped`. */
  stop(): void;
}

/** Starts a run. Rejects with a LockstepError when it can't be started; nothing is then left behind. */
export async function startRun(options: StartOptions): Promise<RunHandle> {
  tuneGarbageCollection();
  const audience = new Audience(options.onEvent);
  const { notify } = audience;
  await using cleanUp = new AsyncDisposableStack();
  const { tokenFile, tls: certificate, data: source } = options.config;
  const token = readToken(tokenFile, process.env);
  const tls = certificate === undefined ? undefined : readTls(certificate, new Date());
  const data = await openData(source, readingOf(options.config));
  notify({ type: "data", train: data.train.length, test: data.test?.length, sha256: data.sha256 });
  const asked = withLayers(options.config, data.train);
  const model = await modelFor(asked, data.train);
  checkLookups(model.train, data.source);
  checkTargets(asked.model.loss, data.source);
  const config = withGraphs(asked, model);
  const layouts = partialLayouts(model.parameters, model.metrics, model.evaluated);
  const start = options.resume ? undefined : await startOf(asked, model);
  if (start?.report !== undefined) notify({ type: "weights", file: asked.model.weights!.file, ...start.report });
  const ingredients = { config, data, model, layouts, ...(start === undefined ? {} : { start }) };
  // The port first: when it is in use there is no run, and no folder of one.
  const { host, port, maxConnections } = config;
  const limits = { maxConnections, partialBytes: vectorBytes(layouts.partial.train) };
  const server = cleanUp.adopt(await listen({ host, port, token, tls, ...limits }), (open) => open.close());
  const ownDoor = tls !== undefined && options.localWorkers > 0;
  const local = ownDoor ? await listenForOwn(limits) : { server, token };
  if (ownDoor) cleanUp.defer(() => local.server.close());
  return await startAt({ server, local }, ingredients, { ...options, config: asked }, audience, cleanUp);
}

/** Where workers connect: those from elsewhere, and those that the run starts itself. */
interface Doors {
  readonly server: Server;
  readonly local: { readonly server: Server; readonly token: JoinToken };
}

type Limits = Pick<ListenOptions, "maxConnections" | "partialBytes">;

/**
 * Local workers of a run with TLS have a loopback port of their own, with a token that nobody else has: the certificate is
 * made out to other names, and they have none to show.
 */
async function listenForOwn(limits: Limits): Promise<Doors["local"]> {
  const token = JoinToken.from(randomBytes(24).toString("base64url"), "memory");
  return { server: await listen({ host: "127.0.0.1", port: 0, token, ...limits }), token };
}

/** Takes the run up at its doors; the core begins to train once workers are there. */
async function startAt(
  { server, local }: Doors,
  ingredients: Ingredients,
  { config: asked, mayRename = false, resume, localWorkers, trace: tracePath }: StartOptions,
  audience: Audience,
  cleanUp: AsyncDisposableStack,
): Promise<RunHandle> {
  const { notify, watchers } = audience;
  const { data, model, layouts } = ingredients;
  const adopted = <Open extends RunFolder | TraceFile>(open: Open): Open => cleanUp.adopt(open, () => open.close());
  const resumed = resume ? adopted(await resumeRun(join(asked.runs, asked.name))) : undefined;
  const before = resumed?.manifest;
  if (before !== undefined) checkSameData(ingredients, before);
  const manifest = { ...(before ?? firstManifest(ingredients)), exact: asked.exact };
  // Whatever may be wrong with the config is found before the folder has it, or has the name.
  const settings = settingsOf(ingredients, manifest.run, localWorkers);
  const plan = planOf(ingredients, settings, tracePath !== undefined);
  checkSendable(plan, layouts);
  const shards = {
    train: settings.shards,
    evaluate: Math.max(1, Math.ceil(settings.testSamples / EVALUATION_CHUNK)),
  };
  const machinery = machineryOf(asked, layouts, shards, (done) => rateAfter(state, done));
  cleanUp.defer(() => machinery.crew.close());
  const { store } = machinery;
  // Nor is there a folder when the trace's file cannot be made.
  const named = typeof tracePath === "string" ? adopted(await TraceFile.create(tracePath)) : undefined;
  const folder = resumed ?? adopted(await newFolder(ingredients.config, manifest, mayRename));
  const config = { ...asked, name: basename(folder.path) };
  if (resumed !== undefined) {
    // What may change on the way, such as more epochs, holds from here on.
    await resumed.writeConfig(ingredients.config);
    await resumed.writeManifest(manifest);
  }
  const trace = tracePath === true ? adopted(await TraceFile.inFolder(folder.path)) : named;
  const recorder = new Recorder({ folder, manifest, store, keep: config.checkpoint.keep, notify });

  const snapshot = resume ? await recorder.newest() : undefined;
  const steering = steeringFrom(snapshot?.steering as Partial<Steering> | undefined);
  if (snapshot === undefined) {
    const start = ingredients.start ?? (await startOf(config, model));
    checkSameStart(config.name, start.files, manifest.startedFrom);
    initialParameters(model, layouts.parameters, config.seed, store.vector, start.values);
  } else store.restore(snapshot);
  store.publish();
  const steps = stepNumber(snapshot?.step ?? 0);
  const { fingerprint, quarantined = [] } = manifest;
  // Which partials are audited must not be foreseen by those who know the seed.
  const auditKey = randomBytes(6).readUIntBE(0, 6);
  const state = initialState(settings, { steps, steering, fingerprint, quarantined, auditKey }, systemClock.now());
  await recorder.open(steps);

  const referee = new EngineReferee(() => new ComputePool(plan, 1, data, piscinaThreads(1)));
  compileSooner({ well: plan.isLong && machinery.memory === undefined });
  const runtime = new CoordinatorRuntime({
    ...machinery,
    state,
    plan,
    referee,
    clock: systemClock,
    notify(event) {
      if (event.type === "worker-joined" || event.type === "quarantined") recorder.remember(state);
      if (event.type === "quarantined") workers.abandon(event.worker);
      notify(event);
    },
    record: (line) => recorder.append(line),
    checkpoint: (onFailed) => recorder.checkpoint(state, onFailed),
    keepBest: () => recorder.keepBest(state),
  });
  cleanUp.defer(() => runtime.close());
  const closers: (() => Promise<void>)[] = [];
  cleanUp.defer(async () => {
    for (const close of closers) await close();
  });
  const site = siteOf({
    config,
    manifest,
    data,
    folder: folder.path,
    state,
    parameters: parameterCount(layouts),
    steps: totalSteps(settings),
    profile: () => runtime.profiler.profile,
    sampleShape: data.train.sampleShape,
    target: data.train.target,
    model,
    parametersNow: () => Float32Array.from(store.vector),
    now: () => systemClock.now(),
    observe: (observer) => runtime.observe(observer),
    link: (worker) => runtime.link(worker),
    ping: (worker) => runtime.ping(worker),
    command: (command) => (command === "stop" ? runtime.stop("user") : runtime.command(command)),
    onClose: (action) => closers.push(action),
    watch(watcher) {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
  });
  keepLogs(
    { folder: folder.path, steps, tensorboard: config.tensorboard, trace },
    { state, runtime, recorder },
    audience,
    cleanUp,
  );
  for (const door of new Set([server, local.server])) door.serve(runtime, site);
  notify({
    type: "listening",
    url: server.url,
    folder: folder.path,
    parameters: parameterCount(layouts),
    frozen: frozenCount(layouts),
    steps: totalSteps(settings),
    resumedAt: snapshot?.step,
  });
  if (trace !== undefined) notify({ type: "tracing", file: trace.path });
  audience.onFailure(() => runtime.stop("user"));
  const workers = startLocalWorkers(
    { url: local.server.url, token: local.token, threads: config.threads },
    isOver(state) ? 0 : localWorkers,
    (error) => runtime.stop(error),
  );
  cleanUp.defer(() => workers.close());
  const open = cleanUp.move();

  const finish = async (): Promise<RunResult> => {
    await using _ = open;
    const outcome = await runtime.finished;
    if (outcome instanceof LockstepError) notify({ type: "failed", code: outcome.code, message: outcome.message });
    const seconds = secondsOf(state);
    await workers.close();
    await referee.close();
    const unsaved = await recorder.close();
    if (outcome instanceof LockstepError) throw outcome;
    audience.check();
    // Whoever stops a run counts on the checkpoint that it ends with.
    if (outcome === "stopped" && unsaved !== undefined) throw unsaved;
    const { profile } = runtime.profiler;
    const result = await resultOf({ outcome, seconds, profile }, ingredients, {
      state,
      store,
      recorder,
      folder: folder.path,
    });
    notify({ type: "finished", result });
    audience.check();
    return result;
  };
  return {
    url: server.url,
    finished: finish(),
    profile: () => runtime.profiler.profile,
    stop: () => runtime.stop("user"),
  };
}
