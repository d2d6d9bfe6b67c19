/**
 * The dashboard of a folder of runs, for finished ones, for comparing them, and for those that go on elsewhere as far as their
 * folder tells. Nothing in the folder is changed.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Context } from "hono";
import { openData } from "../../shared/data/open.ts";
import { readingOf } from "../../shared/data/reading.ts";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";
import type { OptimizerSpec } from "../../shared/optim/spec.ts";
import type { RunConfig } from "../config/config.ts";
import { configOfRun } from "../config/resume.ts";
import { existingRun, runNames } from "../run-folder/find.ts";
import type { FoundRun } from "../run-folder/find.ts";
import { readRun } from "../run-folder/folder.ts";
import type { Manifest } from "../run-folder/manifest.ts";
import { fail } from "../server/answers.ts";
import type { Pages, SiteEnv } from "../server/edge.ts";
import { loadTrained } from "../trained/trained.ts";
import { pageFiles } from "./assets.ts";
import type { RunHistory } from "./history.ts";
import type { DamagedRun, Failure, ListedRun, RunSnapshot, RunSummary } from "./page/messages.ts";
import { imageSide, Predictor } from "./predictor.ts";
import { readHistory, stateOf } from "./read-run.ts";
import { goneRow } from "./workers.ts";

/** What was read of a run, as long as its files are the same. */
interface ReadRun extends FoundRun {
  readonly stamp: string;
  readonly config: RunConfig;
  readonly manifest: Manifest;
  readonly history: RunHistory;
  readonly steps: number | undefined;
}

/** A run whose network is there to be asked. */
interface OpenedRun {
  readonly run: string;
  readonly predictor: Promise<Predictor>;
}

export class Library {
  readonly #runs: string;
  readonly #read = new Map<string, Promise<ReadRun>>();
  readonly #stamps = new Map<string, string>();
  /** By the data that a run's config names: it is large, and a page asks again and again while the run goes on. */
  readonly #imageSides = new Map<string, Promise<number | undefined>>();
  /** Of the run that was asked last. */
  #opened: OpenedRun | undefined;

  /** @param runs folder of run folders */
  constructor(runs: string) {
    this.#runs = runs;
  }

  mount(pages: Pages): void {
    pageFiles("library", pages);
    pages.get("/api/runs", async (context) => context.json(await this.#list()));
    pages.get("/api/run", (context) => this.#answer(context, async (run) => context.json(await this.#snapshot(run))));
    pages.get("/api/curve", (context) =>
      this.#answer(context, (run) => {
        const most = Number(context.req.query("points") ?? Number.NaN);
        const { curve } = run.history;
        const shown = Number.isSafeInteger(most) && most > 0 ? curve.thinned(most) : curve;
        return context.body(shown.toBytes(), 200, { "content-type": "application/octet-stream" });
      }),
    );
    pages.get("/api/predict", (context) =>
      this.#answer(context, async (run) => {
        const predictor = await this.#predictorOf(run);
        return context.json(await predictor.predict(context.req.query("pixels") ?? ""));
      }),
    );
  }

  async close(): Promise<void> {
    // Of a run without parameters there is none.
    const predictor = await this.#opened?.predictor.catch(() => undefined);
    await predictor?.close();
  }

  async #answer(context: Context<SiteEnv>, action: (run: ReadRun) => Response | Promise<Response>): Promise<Response> {
    const name = context.req.query("name") ?? "";
    // A name and no path: nothing outside the folder is read.
    if (!runNames(this.#runs).includes(name))
      return fail(
        context,
        404,
        new LockstepError("RUN_MISSING", `there is no run ${name} in ${this.#runs}`, "Go back to the list of runs."),
      );
    try {
      return await action(await this.#run(name));
    } catch (error) {
      if (error instanceof LockstepError) return fail(context, 400, error);
      throw error;
    }
  }

  #run(name: string): Promise<ReadRun> {
    const path = join(this.#runs, name);
    const stamp = stampOf(path);
    const known = this.#read.get(name);
    if (known !== undefined && this.#stamps.get(name) === stamp) return known;
    const reading = readWhole({ runs: this.#runs, name, path }, stamp);
    this.#read.set(name, reading);
    this.#stamps.set(name, stamp);
    // A failure is told to who asked; the next one tries again.
    reading.catch(() => this.#stamps.delete(name));
    return reading;
  }

  async #list(): Promise<ListedRun[]> {
    const listed: ListedRun[] = [];
    for (const name of runNames(this.#runs)) {
      try {
        listed.push(await summaryOf(await this.#run(name)));
      } catch (error) {
        // It must not hide the others. One that is gone by now was not damaged.
        if (existingRun(name, this.#runs) !== undefined) listed.push(damaged(name, error));
      }
    }
    return listed;
  }

  async #snapshot(run: ReadRun): Promise<RunSnapshot> {
    const { name, path, config, manifest, history, steps } = run;
    return {
      facts: {
        name,
        folder: path,
        parameters: manifest.parameters,
        steps,
        epochs: config.epochs,
        imageSide: await this.#imageSide(run),
        config,
        manifest,
      },
      state: await stateOf(path, history),
      progress: history.progress,
      epochs: history.epochs,
      workers: [...history.workers.values()].map(goneRow),
      log: history.log,
      time: history.time,
      mayCommand: false,
    };
  }

  /** A run whose data is elsewhere can be looked at all the same. */
  async #imageSide({ config }: ReadRun): Promise<number | undefined> {
    const reading = readingOf(config);
    const key = JSON.stringify([config.data, reading]);
    const side =
      this.#imageSides.get(key) ??
      openData(config.data, reading).then((data) => {
        data.close();
        return imageSide(data.train);
      });
    this.#imageSides.set(key, side);
    try {
      return await side;
    } catch (error) {
      // By the next question it may be back.
      this.#imageSides.delete(key);
      if (error instanceof LockstepError) return undefined;
      throw error;
    }
  }

  #predictorOf(read: ReadRun): Promise<Predictor> {
    const run = `${read.name} ${read.stamp}`;
    if (this.#opened?.run === run) return this.#opened.predictor;
    void this.close();
    const predictor = loadTrained(read, () => {}).then(({ model, data, parameters }) => {
      // Of the data only its form is asked.
      data.close();
      return new Predictor({
        model,
        target: data.train.target,
        sampleShape: data.train.sampleShape,
        parametersNow: () => Float32Array.from(parameters),
      });
    });
    // Whoever asks hears of it.
    predictor.catch(() => {});
    this.#opened = { run, predictor };
    return predictor;
  }
}

/** Changes when a run's files do. */
function stampOf(path: string): string {
  return ["config.json", "metrics.jsonl", "events.jsonl", "model.safetensors"]
    .map((file) => {
      try {
        const { size, mtimeMs } = statSync(join(path, file));
        return `${size} ${mtimeMs}`;
      } catch (error) {
        // Whoever reads it says what is wrong with it.
        return String(errnoOf(error));
      }
    })
    .join(", ");
}

async function readWhole(run: FoundRun, stamp: string): Promise<ReadRun> {
  const { path } = run;
  const config = await configOfRun(run);
  const { manifest } = await readRun(path);
  const { history, steps } = await readHistory(path);
  return { ...run, stamp, config, manifest, history, steps };
}

async function summaryOf({ name, path, config, manifest, history }: ReadRun): Promise<RunSummary> {
  const last = history.epochs.at(-1);
  const tested = history.epochs.findLast(({ testLoss }) => testLoss !== undefined);
  return {
    name,
    // One that is killed changes no file.
    state: await stateOf(path, history),
    created: Date.parse(manifest.created),
    model: config.model.layers.map((layer) => (layer.kind === "dense" ? String(layer.units) : layer.kind)).join("-"),
    optimizer: optimizerText(config.optimizer),
    batch: config.batch,
    shards: config.shards,
    seed: config.seed,
    epoch: last?.epoch ?? 0,
    epochs: config.epochs,
    step: history.progress?.step ?? 0,
    loss: last?.loss ?? history.progress?.loss,
    testLoss: tested?.testLoss,
    testAccuracy: tested?.testAccuracy,
  };
}

function damaged(name: string, error: unknown): DamagedRun {
  const { code, message, hint } = error instanceof LockstepError ? error : notForeseen(error);
  return { name, state: "damaged", error: { code, message, hint } };
}

/** When it is opened its stack goes to the log (answers.ts); the list is asked for all the time. */
const notForeseen = (error: unknown): Failure["error"] => ({
  code: "DEFECT",
  message: `its folder cannot be read: ${error instanceof Error ? error.message : String(error)}`,
  hint: "open it, and see what this dashboard's terminal says",
});

const optimizerText = ({ kind, learningRate }: OptimizerSpec): string => `${kind} ${learningRate}`;
