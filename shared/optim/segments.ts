/**
 * Stretches of the flat vector that one step treats alike: the whole of it, or a stretch for each run of neighbouring tensors
 * whose groups say the same. The padding behind a tensor goes with it.
 */
import { LockstepError } from "../errors.ts";
import type { Layout, Slot } from "../memory/layout.ts";
import type { ParameterGroup } from "./spec.ts";

/** What the groups say of a tensor. */
interface Treatment {
  readonly weightDecay: number | undefined;
  readonly learningRateFactor: number;
  readonly frozen: boolean;
}

/** `start` and `count` are floats. */
export interface Segment extends Treatment {
  readonly start: number;
  readonly count: number;
}

const asTheRest: Treatment = { weightDecay: undefined, learningRateFactor: 1, frozen: false };

/** A vector of `count` floats of which nothing more is known. */
export const wholeVector = (count: number): Segment[] => [{ start: 0, count, ...asTheRest }];

/**
 * The stretches of a layout. @param apart whether every tensor is one of its own.
 * @throws LockstepError CONFIG_INVALID for a group that names no parameter, or if everything is frozen
 */
export function segmentsOf(layout: Layout, groups: readonly ParameterGroup[], apart: boolean): Segment[] {
  const { slots, size, trained } = layout;
  const matchers = groups.map(({ parameters }, place) => matcherOf([parameters].flat(), place, slots));
  const segments: Segment[] = [];
  slots.forEach((slot, number) => {
    const treatment = groups.reduce(
      (known, group, place) => (matchers[place]!(slot) ? { ...known, ...saidBy(group) } : known),
      { ...asTheRest, frozen: slot.offset >= trained },
    );
    const end = slots[number + 1]?.offset ?? size;
    const last = segments.at(-1);
    if (last === undefined || apart || !isSame(last, treatment)) {
      segments.push({ start: slot.offset, count: end - slot.offset, ...treatment });
    } else segments[segments.length - 1] = { ...last, count: end - last.start };
  });
  if (trained === 0) throw invalid("every parameter is frozen: there is nothing to train", "Leave some unfrozen.");
  return segments;
}

/** What is frozen is decided before: the layout says it. */
const saidBy = ({ weightDecay, learningRateFactor }: ParameterGroup): Partial<Treatment> => ({
  ...(weightDecay === undefined ? {} : { weightDecay }),
  ...(learningRateFactor === undefined ? {} : { learningRateFactor }),
});

/** Whether groups freeze a parameter; the last one that says something of it decides. */
export const isFrozenBy =
  (groups: readonly ParameterGroup[]) =>
  (parameter: Named): boolean =>
    groups.reduce(
      (known, { parameters, frozen = known }) =>
        [parameters].flat().some((pattern) => matches(pattern)(parameter)) ? frozen : known,
      false,
    );

const isSame = (one: Treatment, other: Treatment): boolean =>
  one.weightDecay === other.weightDecay &&
  one.learningRateFactor === other.learningRateFactor &&
  one.frozen === other.frozen;

type Named = Pick<Slot, "name" | "shape">;

function matches(pattern: string): (parameter: Named) => boolean {
  if (pattern === "vectors") return ({ shape }) => shape.length === 1;
  const literal = pattern.split("*").map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, String.raw`\$&`));
  const expression = new RegExp(`^${literal.join(".*")}$`);
  return ({ name }) => expression.test(name);
}

function matcherOf(patterns: readonly string[], place: number, slots: readonly Slot[]): (slot: Slot) => boolean {
  const matchers = patterns.map(matches);
  const lost = matchers.findIndex((matches) => !slots.some(matches));
  if (lost >= 0) {
    const names = slots.map(({ name }) => name);
    const some = names.length > 12 ? [...names.slice(0, 8), "…", ...names.slice(-3)] : names;
    throw invalid(
      `groups[${place}].parameters: no parameter is named ${JSON.stringify(patterns[lost])}`,
      `There are: ${some.join(", ")}; * stands for any characters, \`vectors\` for all of one dimension.`,
    );
  }
  return (slot) => matchers.some((matches) => matches(slot));
}

const invalid = (message: string, hint: string): LockstepError => new LockstepError("CONFIG_INVALID", message, hint);
