/**
 * A curve of any length in bounded memory: once full, neighbours are merged to their means, and from then on so many more
 * steps make one point. Coordinator and page keep the same.
 */
import type { CurvePoint } from "./messages.ts";

/** Points kept; after a merger there are half as many. */
const CAPACITY = 131_072;
const COLUMNS = 4;

export class Curve {
  #length = 0;
  /** Steps that make one point. */
  #stride = 1;
  readonly #capacity: number;
  /** step, loss, accuracy (NaN where there is none), samples a second: one behind the other. */
  #columns: Float32Array[];
  #sums: [number, number, number] = [0, 0, 0];
  #gathered = 0;

  constructor(capacity = CAPACITY) {
    this.#capacity = capacity;
    this.#columns = Array.from({ length: COLUMNS }, () => new Float32Array(Math.min(1024, capacity)));
  }

  get length(): number {
    return this.#length;
  }

  add(step: number, loss: number, accuracy: number, rate: number): void {
    this.#sums[0] += loss;
    this.#sums[1] += accuracy;
    this.#sums[2] += rate;
    this.#gathered += 1;
    if (this.#gathered < this.#stride) return;
    const [sumOfLosses, sumOfAccuracies, sumOfRates] = this.#sums;
    const count = this.#gathered;
    this.#sums = [0, 0, 0];
    this.#gathered = 0;
    this.#push(step, sumOfLosses / count, sumOfAccuracies / count, sumOfRates / count);
  }

  /** The columns step, loss, accuracy, rate so far; views that are right until the next `add`. */
  columns(): readonly [Float32Array, Float32Array, Float32Array, Float32Array] {
    const [step, loss, accuracy, rate] = this.#columns.map((column) => column.subarray(0, this.#length));
    return [step!, loss!, accuracy!, rate!];
  }

  /** The points from `index` on. */
  since(index: number): CurvePoint[] {
    const [step, loss, accuracy, rate] = this.columns();
    return Array.from({ length: Math.max(0, this.#length - index) }, (_, offset): CurvePoint => {
      const at = index + offset;
      return [step[at]!, loss[at]!, Number.isNaN(accuracy[at]!) ? null : accuracy[at]!, rate[at]!];
    });
  }

  /** At most `most` points, each the mean of as many neighbours, as a curve of their own. */
  thinned(most: number): Curve {
    const stride = Math.max(1, Math.ceil(this.#length / most));
    const thin = new Curve(this.#capacity);
    thin.#stride = stride;
    const [step, loss, accuracy, rate] = this.columns();
    for (let at = 0; at < this.#length; at++) thin.add(step[at]!, loss[at]!, accuracy[at]!, rate[at]!);
    return thin;
  }

  /** All columns in one block, little-endian as every machine that runs this. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const all = new Float32Array(COLUMNS * this.#length);
    this.columns().forEach((column, index) => all.set(column, index * this.#length));
    return new Uint8Array(all.buffer);
  }

  static fromBytes(bytes: ArrayBuffer): Curve {
    const all = new Float32Array(bytes);
    const length = all.length / COLUMNS;
    const curve = new Curve();
    for (let at = 0; at < length; at++)
      curve.#push(all[at]!, all[length + at]!, all[2 * length + at]!, all[3 * length + at]!);
    return curve;
  }

  #push(...values: readonly [number, number, number, number]): void {
    if (this.#length === this.#capacity) this.#merge();
    if (this.#length === this.#columns[0]!.length) this.#grow();
    for (let column = 0; column < COLUMNS; column++) this.#columns[column]![this.#length] = values[column]!;
    this.#length += 1;
  }

  #grow(): void {
    this.#columns = this.#columns.map((column) => {
      const larger = new Float32Array(Math.min(this.#capacity, 2 * column.length));
      larger.set(column);
      return larger;
    });
  }

  /** Two points become one, at the later one's step. */
  #merge(): void {
    const half = Math.floor(this.#length / 2);
    this.#columns.forEach((column, index) => {
      for (let at = 0; at < half; at++) {
        const [one, other] = [column[2 * at]!, column[2 * at + 1]!];
        column[at] = index === 0 ? other : (one + other) / 2;
      }
    });
    this.#length = half;
    this.#stride *= 2;
  }
}
