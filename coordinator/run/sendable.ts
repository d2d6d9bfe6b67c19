/**
 * Whether workers will take a run's plan, found with their own checks before there is a run: each of them would refuse it, and
 * training would wait for ever.
 */
import { checkPlan } from "../../shared/compute/check-plan.ts";
import type { DataSpec } from "../../shared/data/spec.ts";
import { LockstepError } from "../../shared/errors.ts";
import type { PartialLayouts } from "../../shared/gradient/partial.ts";
import { runId, workerId } from "../../shared/ids.ts";
import { bytesOf, COORDINATOR_FRAME_LIMIT, encodeFrame } from "../../shared/protocol/codec.ts";
import type { RunPlan } from "../../shared/protocol/messages.ts";
import { planProblem, type PlanProblem } from "../../shared/protocol/validate.ts";
import { configInvalid, shown, valueAt } from "../config/problems.ts";

/** What else is in a welcome, in bytes: names, proofs and files. */
const AROUND_PLAN = 65_536;

/** Throws CONFIG_INVALID, or MODEL_INVALID where it is the model that they would refuse. */
export function checkSendable(plan: RunPlan, layouts: PartialLayouts): void {
  const problem = planProblem(plan);
  if (problem !== undefined) throw refusalOf(plan, problem);
  const welcome = { type: "welcome", run: runId(""), worker: workerId(""), proof: "", plan, packs: false } as const;
  const bytes = bytesOf(encodeFrame(welcome));
  if (bytes > COORDINATOR_FRAME_LIMIT - AROUND_PLAN)
    throw modelInvalid(`its description has ${bytes.toLocaleString("en-US")} bytes, too many for one message`);
  try {
    checkPlan(plan, layouts);
  } catch (error) {
    throw error instanceof LockstepError ? modelInvalid(error.message, { cause: error }) : error;
  }
}

function refusalOf(plan: RunPlan, { path, message }: PlanProblem): LockstepError {
  const found = shown(valueAt(plan, path));
  const [field, ...below] = path;
  if (field === "parameters") return modelInvalid(`parameter ${below.join(".")}: found ${found}: ${message}`);
  // As a config writes it.
  const place = field === "data" ? ["data", (plan.data as DataSpec).kind, ...below] : path;
  const problem = { path: place, message: `found ${found}, which workers refuse: ${message}` };
  return configInvalid([problem], () => "config", "Change it to what workers take.");
}

const modelInvalid = (why: string, options?: ErrorOptions): LockstepError =>
  new LockstepError(
    "MODEL_INVALID",
    `workers would refuse this model: ${why}`,
    "Make it smaller, and its names shorter.",
    options,
  );
