/**
 * What a watched figure decides at the end of an epoch: that the learning rate is reduced on a plateau, that a checkpoint is the
 * best so far, that training stops early. Everything it looks back on is in `Watch`, which is in every checkpoint.
 */
import { learningRateAt } from "../../shared/optim/schedule.ts";
import type { CoordinatorEffect } from "./events.ts";
import type { CoordinatorState } from "./state.ts";
import type { EpochFigures, Figure, Wait } from "./watch.ts";

const isSmallBetter = (figure: Figure): boolean => figure === "loss" || figure === "testLoss";

/**
 * Whether a value is better than the best, by more than the share `threshold` of its size. That is PyTorch's `rel` mode but below
 * zero, where a loss of one's own may be and PyTorch takes one that is worse for better.
 */
function isBetter(figure: Figure, value: number, best: number | null, threshold: number): boolean {
  if (best === null) return true;
  const share = threshold * Math.sign(best);
  return isSmallBetter(figure) ? value < best * (1 - share) : value > best * (1 + share);
}

const waitFor = (figure: Figure, value: number, { best, waited }: Wait, threshold: number): Wait =>
  isBetter(figure, value, best, threshold) ? { best: value, waited: 0 } : { best, waited: waited + 1 };

/** The learning rate of the step that follows `steps` steps. */
export const rateAfter = ({ settings, steering }: CoordinatorState, steps: number): number =>
  learningRateAt(settings.schedule, steps, steering.watch.reductions);

/** Decides at the end of an epoch, by what is known of it. */
export function decide(state: CoordinatorState, known: EpochFigures): CoordinatorEffect[] {
  const { settings, steering, steps } = state;
  const { monitor, stopEarly, schedule, keepBest } = settings;
  const value = known[monitor];
  if (value === undefined) return [];
  const effects: CoordinatorEffect[] = [];
  let { plateau, reductions, patience, best, stopped } = steering.watch;
  if (schedule.spec.kind === "plateau") {
    plateau = waitFor(monitor, value, plateau, schedule.spec.threshold ?? 1e-4);
    if (plateau.waited > (schedule.spec.patience ?? 10)) {
      plateau = { ...plateau, waited: 0 };
      reductions += 1;
      const learningRate = learningRateAt(schedule, steps, reductions);
      effects.push({ type: "notify", event: { type: "rate-reduced", step: steps, figure: monitor, learningRate } });
    }
  }
  if (isBetter(monitor, value, best?.value ?? null, 0)) {
    best = { value, step: steps };
    if (keepBest) effects.push({ type: "keep-best" });
  }
  if (stopEarly !== undefined) {
    patience = waitFor(monitor, value, patience, stopEarly.threshold);
    stopped = patience.waited >= stopEarly.patience;
    const event = { type: "stopped-early", step: steps, figure: monitor, best: best?.value ?? value } as const;
    if (stopped) effects.push({ type: "notify", event });
  }
  steering.watch = { plateau, reductions, patience, best, stopped };
  return effects;
}
