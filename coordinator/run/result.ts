/** What a run that has ended well leaves and says: its model, written to files if it is completed, and its figures. */
import { systemClock } from "../../shared/clock.ts";
import { parametersSha256 } from "../../shared/memory/layout.ts";
import { batchOf, samplesIn } from "../core/epochs.ts";
import type { CoordinatorState, Evaluation } from "../core/state.ts";
import type { RunResult } from "../events.ts";
import type { ParameterStore } from "../exchange/parameters.ts";
import { finalModel } from "./final-model.ts";
import type { Ingredients } from "./ingredients.ts";
import type { Recorder } from "./recorder.ts";

/** The run as it stands at its end. */
export interface Ended {
  readonly state: CoordinatorState;
  readonly store: ParameterStore;
  readonly recorder: Recorder;
  /** The run's folder. */
  readonly folder: string;
}

export async function resultOf(
  { outcome, seconds, profile }: Pick<RunResult, "outcome" | "seconds" | "profile">,
  { config, data, model, layouts }: Ingredients,
  { state, store, recorder, folder }: Ended,
): Promise<RunResult> {
  const isCompleted = outcome === "completed";
  const final = isCompleted
    ? await finalModel(config, data, model, { state, store, recorder })
    : { parameters: store.vector, step: state.steps, evaluation: lastKnown(state) };
  const models = isCompleted
    ? await recorder.writeModels(model, data.train.sampleShape, final.parameters, state.steps)
    : [];
  const since = state.trainingSince?.steps ?? state.steps;
  const samples = samplesIn(state.settings, state.steps) - samplesIn(state.settings, since);
  return {
    outcome,
    steps: state.steps,
    stepsTaken: state.steps - since,
    epochs: batchOf(state.settings, state.steps).epoch,
    stoppedEarly: state.steering.watch.stopped,
    modelStep: final.step,
    testLoss: final.evaluation?.loss,
    testAccuracy: final.evaluation?.accuracy,
    testFigures: final.evaluation?.figures,
    seconds,
    samplesPerSecond: samples / Math.max(seconds, 1e-3),
    parametersSha256: parametersSha256(layouts.parameters, final.parameters),
    folder,
    models,
    audits: state.audits,
    profile,
  };
}

/** The last evaluation, if it is of the parameters as they are. */
const lastKnown = ({ steps, steering: { lastEvaluation } }: CoordinatorState): Evaluation | undefined =>
  lastEvaluation?.step === steps ? lastEvaluation : undefined;

/** For how long this process has trained. */
export const secondsOf = ({ trainingSince }: CoordinatorState): number =>
  trainingSince === undefined ? 0 : (systemClock.now() - trainingSince.at) / 1000;
