/** Branded identifiers: a step number cannot be passed where a worker's id belongs. */

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Characters of the longest name, of a parameter or of what a config names in its data, that a run tells its workers of. */
export const LONGEST_NAME = 1_000;

/** Names one run over all its restarts. */
export type RunId = Branded<string, "RunId">;
/** Names one connection of one worker; a worker that reconnects gets a new one. */
export type WorkerId = Branded<string, "WorkerId">;
/** Counts minibatches from 0 over the whole run. */
export type StepNumber = Branded<number, "StepNumber">;

export const runId = (text: string): RunId => text as RunId;
export const workerId = (text: string): WorkerId => text as WorkerId;
export const stepNumber = (count: number): StepNumber => count as StepNumber;
