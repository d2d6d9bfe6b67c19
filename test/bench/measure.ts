/** Rounds in alternation, medians with their spread, and ratios within rounds: how every benchmark here measures. */
import type { Workload } from "./workloads.ts";

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The median is a number that was measured: of an even count, the upper of the two in the middle. */
export function spread(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((left, right) => left - right);
  return { median: sorted[Math.floor(sorted.length / 2)]!, min: sorted[0]!, max: sorted.at(-1) };
}

export interface Timed {
  readonly millisecondsAStep: number;
}

export const stepTimes = (rounds: readonly Timed[]): Spread => spread(rounds.map((round) => round.millisecondsAStep));

/** How many times as many samples a second the one trains as the other, round by round. */
export const speedup = (one: readonly Timed[], other: readonly Timed[]): Spread =>
  spread(one.map((round, index) => other[index]!.millisecondsAStep / round.millisecondsAStep));

type Contenders = Readonly<Record<string, () => Promise<unknown>>>;
type Rounds<All extends Contenders> = { readonly [Name in keyof All]: Awaited<ReturnType<All[Name]>>[] };

/** Runs every contender once a round, one after the other in the order given, so that what else the machine does hits all. */
export async function alternate<All extends Contenders>(
  title: string,
  rounds: number,
  contenders: All,
): Promise<Rounds<All>> {
  const results: Record<string, unknown[]> = {};
  for (let round = 1; round <= rounds; round++) {
    for (const [name, contender] of Object.entries(contenders)) {
      progress(`${title}, round ${round} of ${rounds}: ${name}`);
      (results[name] ??= []).push(await contender());
    }
  }
  progress("");
  return results as Rounds<All>;
}

/** What is being measured, on a line that the next one replaces; only for someone who watches. */
export function progress(sentence: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${sentence}`);
}

/** `12.34 (11.20–13.00)`. */
export const shown = ({ median, min, max }: Spread, digits = 2): string =>
  `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;

export const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** A contender's line under a workload: its name, milliseconds a step, and what that is in steps and samples. */
export function line(name: string, step: Spread, { batch }: Workload): string {
  const steps = 1000 / step.median;
  const rate = `${steps.toFixed(steps < 10 ? 2 : 0)} steps/s, ${(steps * batch).toFixed(0)} samples/s`;
  return `  ${name.padEnd(52)} ${shown(step).padEnd(26)} ${rate}`;
}
