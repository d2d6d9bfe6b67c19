/**
 * What a completed run leaves as its model: its last parameters, the best ones it kept, or their moving average; and that model's
 * figures on the test data, which for parameters that no worker evaluated are computed here, in the same chunks.
 */
import type { OpenedData } from "../../shared/data/open.ts";
import type { CompiledModel } from "../../shared/nn/model.ts";
import { averageIn } from "../../shared/optim/optimizer.ts";
import type { RunConfig } from "../config/config.ts";
import type { CoordinatorState, Evaluation } from "../core/state.ts";
import type { ParameterStore } from "../exchange/parameters.ts";
import { evaluate } from "../trained/evaluate.ts";
import type { Recorder } from "./recorder.ts";

interface FinalModel {
  /** In layout order, with padding. */
  readonly parameters: Float32Array;
  /** Steps that were taken to them. */
  readonly step: number;
  /** On the test data; undefined where there is none. */
  readonly evaluation: Evaluation | undefined;
}

export async function finalModel(
  config: RunConfig,
  data: OpenedData,
  model: CompiledModel,
  { state, store, recorder }: { state: CoordinatorState; store: ParameterStore; recorder: Recorder },
): Promise<FinalModel> {
  const { lastEvaluation, watch } = state.steering;
  const isBetterBefore = config.checkpoint.best && watch.best !== null && watch.best.step < state.steps;
  const best = isBetterBefore ? await recorder.best(watch.best.step) : undefined;
  const last = { parameters: store.vector, state: store.state, step: state.steps };
  const { parameters: plain, state: states, step } = best ?? last;
  const parameters = averageIn(states) ?? plain;
  if (data.test === undefined) return { parameters, step, evaluation: undefined };
  // Training that stops early may do so between two evaluations.
  if (parameters === last.parameters && lastEvaluation?.step === step)
    return { parameters, step, evaluation: lastEvaluation };
  const { layout } = store;
  const trained = { config, data, dataSha256: data.sha256, model, layout, parameters, source: `step ${step}` };
  // On what the epochs were evaluated on, also where that is held out and there is test data besides.
  const { testLoss, testAccuracy, testFigures } = await evaluate(trained, data.test);
  return { parameters, step, evaluation: { step, loss: testLoss, accuracy: testAccuracy, figures: testFigures } };
}
