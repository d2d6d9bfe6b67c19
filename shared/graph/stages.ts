/**
 * A program cut into stages that run one after the other. With B buckets of parameters: stages 1 to B are the forward pass, of
 * which stage k needs the first k buckets, and stage B also finds the last bucket's gradients; then B − 1 backward stages, each
 * of which finishes one more bucket, from the one before the last to the first. A stage that would have no steps is left out.
 *
 * So a forward pass begins while parameters are still arriving, and gradients leave while others are still computed. Each step is
 * in one stage and does what it does in the whole program, on tensors of the same sizes: the bits are the same.
 */
import type { Port, Program, Step, Term } from "./program.ts";

type Sizes = readonly number[];

/** In which bucket of parameters the named input and the gradient or metric lie; an input that is no parameter is in none. */
export interface Buckets {
  readonly count: number;
  readonly ofInput: (name: string) => number | undefined;
  readonly ofOutput: (output: string) => number;
}

export interface Stage {
  readonly program: Program;
  /** How many buckets of parameters it needs, counted from the first one. */
  readonly needs: number;
  /** Behind it all outputs of the buckets from this one on are there; the number of buckets: none are. */
  readonly completes: number;
}

const inputsOf = (step: Step): readonly number[] => (step.kind === "split" ? [step.input] : step.inputs);
const outputsOf = (step: Step): readonly number[] => (step.kind === "split" ? step.outputs : [step.output]);

/** A program that is not cut. @param buckets how many there are */
export const inOneStage = (program: Program, buckets: number): Stage => ({ program, needs: buckets, completes: 0 });

/** The stages of a program, in order. What one leaves to another is an output of the one and an input of the other, of the same name. */
export function cutIntoStages(program: Program, buckets: Buckets): Stage[] {
  const made = new Set(program.steps.flatMap(outputsOf));
  // An output that is an input is made by no step that could be in a stage.
  if (program.outputs.some(({ tensor }) => !made.has(tensor))) return [inOneStage(program, buckets.count)];
  const places = placesOf(program, buckets);
  const used = [...new Set(places)].toSorted((left, right) => left - right);
  return used.map((place, index) => ({
    program: partOf(program, (step) => places[step] === place),
    needs: Math.min(place, buckets.count),
    // What a place that has no steps would complete is there before it.
    completes: Math.min(buckets.count, 2 * buckets.count - (used[index + 1] ?? 2 * buckets.count)),
  }));
}

/**
 * Where each step belongs, from 1 on. What the last bucket's outputs need is at the number of buckets that it needs itself, or
 * where it is read first if it needs none; everything else as many places behind that as it is buckets before the last one
 * whose outputs need it. Nothing is done before it must be: what lies in memory until then has left the processor's cache.
 */
function placesOf({ inputs, outputs, steps, tensors }: Program, { count, ofInput, ofOutput }: Buckets): number[] {
  const needs = tensors.map(() => 0);
  for (const { name, tensor } of inputs) needs[tensor] = 1 + (ofInput(name) ?? -1);
  for (const step of steps) {
    const most = Math.max(0, ...inputsOf(step).map((tensor) => needs[tensor]!));
    for (const tensor of outputsOf(step)) needs[tensor] = most;
  }
  const neededFor = tensors.map(() => 0);
  for (const { output, tensor } of outputs) neededFor[tensor] = Math.max(neededFor[tensor]!, ofOutput(output));
  for (const step of steps.toReversed()) {
    const last = Math.max(...outputsOf(step).map((tensor) => neededFor[tensor]!));
    for (const tensor of inputsOf(step)) neededFor[tensor] = Math.max(neededFor[tensor]!, last);
  }
  const readAt = tensors.map(() => count);
  const places = steps.toReversed().map((step) => {
    const made = outputsOf(step);
    const last = Math.max(...made.map((tensor) => neededFor[tensor]!));
    let place = 2 * count - 1 - last;
    if (last === count - 1) place = Math.min(...made.map((tensor) => needs[tensor]! || readAt[tensor]!));
    for (const tensor of inputsOf(step)) readAt[tensor] = Math.min(readAt[tensor]!, place);
    return place;
  });
  return places.toReversed();
}

/** The program of some of the steps. */
function partOf(program: Program, isIn: (step: number) => boolean): Program {
  const steps = program.steps.filter((_, index) => isIn(index));
  const made = new Set(steps.flatMap(outputsOf));
  const read = new Set(steps.flatMap(inputsOf));
  const given = new Set(program.inputs.map(({ tensor }) => tensor));
  const readElsewhere = new Set(program.steps.filter((_, index) => !isIn(index)).flatMap(inputsOf));
  const between = (tensor: number): Port<Sizes> => ({
    name: nameOf(program, tensor),
    tensor,
    ...program.tensors[tensor]!,
  });
  const left = [...made].filter((tensor) => readElsewhere.has(tensor)).map(between);
  return {
    inputs: [
      ...program.inputs.filter(({ tensor }) => read.has(tensor)),
      ...[...read].filter((tensor) => !made.has(tensor) && !given.has(tensor)).map(between),
    ],
    outputs: [
      ...program.outputs.filter(({ tensor }) => made.has(tensor)),
      ...left.map((port): Term<Sizes> => ({ ...port, output: port.name, shard: 0 })),
    ],
    tensors: program.tensors,
    steps,
  };
}

/** The name of a tensor between stages: like that of no input or output. */
function nameOf({ inputs, outputs }: Program, tensor: number): string {
  const taken = new Set([...inputs, ...outputs].map(({ name }) => name));
  let name = `between/${tensor}`;
  while (taken.has(name)) name += "_";
  return name;
}
