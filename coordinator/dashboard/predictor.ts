/**
 * Answers what a network says to a drawn digit, on a thread of its own, so that neither training nor the page waits for it. The
 * thread is started with the first question.
 */
import type { TargetSpec } from "../../shared/data/target.ts";
import { LockstepError } from "../../shared/errors.ts";
import { encodeGraph } from "../../shared/graph/serialise.ts";
import type { CompiledModel } from "../../shared/nn/model.ts";
import { product } from "../../shared/shape.ts";
import { threadFile, ThreadPool } from "../../shared/thread-pool.ts";
import type { PredictTask } from "./predictor-thread.ts";

export interface PredictorSource {
  readonly model: CompiledModel;
  readonly target: TargetSpec;
  readonly sampleShape: readonly number[];
  /** A copy of the parameters as they are now. */
  parametersNow(): Float32Array;
}

/** Questions that may wait; a page asks one at a time. */
const MOST_WAITING = 4;

export class Predictor {
  readonly #source: PredictorSource;
  #thread: ThreadPool<PredictTask, number[]> | undefined;

  constructor(source: PredictorSource) {
    this.#source = source;
  }

  /**
   * Probabilities of the classes.
   * @param pixels of a square image in grey, light on dark, in base64
   */
  async predict(pixels: string): Promise<number[]> {
    const { model, target } = this.#source;
    const side = imageSide(this.#source);
    const bytes = Buffer.from(pixels, "base64");
    if (side === undefined || bytes.length !== side * side)
      throw new LockstepError(
        "SHAPE_MISMATCH",
        side === undefined
          ? "this network classifies no images"
          : `expected ${side * side} pixels, found ${bytes.length}`,
        "Draw on the dashboard's own page.",
      );
    this.#thread ??= new ThreadPool({ file: threadFile(import.meta.url, "predictor-thread"), threads: 1 });
    if (this.#thread.waiting >= MOST_WAITING)
      throw new LockstepError("CONNECTION_REFUSED", "too many digits are being drawn", "Try again in a moment.");
    const parameters = this.#source.parametersNow();
    const sample = Float32Array.from(bytes, (byte) => byte / 255);
    const task = { graph: encodeGraph(model.predict), slots: model.parameters, target, parameters, sample };
    return this.#thread.run(task, [parameters.buffer as ArrayBuffer]);
  }

  /** Waits for what is being computed: a thread inside the engine must not be ended. */
  async close(): Promise<void> {
    await this.#thread?.close();
  }
}

/** Pixels on each side of the images that a network classifies; undefined where it does something else. */
export function imageSide({
  target,
  sampleShape,
}: Pick<PredictorSource, "target" | "sampleShape">): number | undefined {
  if (target.kind !== "class") return undefined;
  const size = product(sampleShape);
  const side = Math.sqrt(size);
  const isSquare = sampleShape.length === 1 || sampleShape.slice(-2).every((length) => length === side);
  // Fewer pixels are rather a row of measurements whose number happens to be a square.
  return Number.isInteger(side) && side >= 8 && isSquare ? side : undefined;
}
