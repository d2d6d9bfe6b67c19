/** Who writes down what a run tells: its event log, TensorBoard's curves and the trace of its steps, as far as they are wanted. */
import { LockstepError } from "../../shared/errors.ts";
import type { CoordinatorState } from "../core/state.ts";
import type { RunFolder } from "../run-folder/folder.ts";
import { EventLog } from "../run-folder/event-log.ts";
import { TensorBoardLog } from "../run-folder/tensorboard.ts";
import type { CoordinatorRuntime } from "../runtime.ts";
import { StepTracer } from "../tracing/step-tracer.ts";
import type { TraceFile } from "../tracing/trace-file.ts";
import type { Audience } from "./audience.ts";
import type { Recorder } from "./recorder.ts";

/** What is wanted. */
interface Wanted {
  readonly folder: RunFolder;
  /** Steps taken so far. */
  readonly steps: number;
  readonly tensorboard: boolean;
  readonly trace: TraceFile | undefined;
}

/** Whose run it is. */
interface Source {
  readonly state: CoordinatorState;
  readonly runtime: CoordinatorRuntime;
  readonly recorder: Recorder;
}

export interface Logs {
  /** Ends the curves and the trace: what cannot be written of them has been warned of by then. The event log has the run's end too. */
  close(): Promise<void>;
}

/** They are closed with `cleanUp` at the latest. A log that cannot be written is warned of, and training goes on. */
export function keepLogs(
  { folder, steps, tensorboard, trace }: Wanted,
  { state, runtime, recorder }: Source,
  { notify, watchers }: Audience,
  cleanUp: AsyncDisposableStack,
): Logs {
  const warn = (error: unknown): void => {
    if (!(error instanceof LockstepError)) throw error;
    notify({ type: "warning", code: error.code, message: error.message });
  };
  const events = new EventLog(folder.path, warn, folder.check);
  cleanUp.defer(() => events.close());
  watchers.add((event) => events.add(event, Date.now()));
  const curves = tensorboard
    ? new TensorBoardLog({ runPath: folder.path, steps, now: Date.now, onFailure: warn, check: folder.check })
    : undefined;
  if (curves !== undefined) {
    cleanUp.defer(() => curves.flush());
    // A run that goes on from a checkpoint does not take the steps before it again.
    recorder.beforeCheckpoints(() => curves.flush());
    watchers.add((event) => curves.add(event));
  }
  if (trace !== undefined) {
    const tracer = new StepTracer(state, (step) => trace.add(step));
    trace.onFailure = warn;
    runtime.observe((effect, begin, end) => tracer.observe(effect, begin, end));
  }
  return {
    async close() {
      await curves?.flush();
      await trace?.close();
    },
  };
}
