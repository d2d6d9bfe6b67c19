/** What the package's functions are given. A program in plain JavaScript may give anything: what is wrong is said by name. */
import { inspect } from "node:util";
import { LockstepError } from "./errors.ts";
import { suggestion } from "./suggest.ts";

/** What a value may be, and how that is said; `parts` are those of a map of options. */
export interface Form {
  readonly expected: string;
  readonly fits: (value: unknown) => boolean;
  readonly parts?: Forms;
}
export type Forms = Readonly<Record<string, Form>>;

export const form = (expected: string, fits: Form["fits"]): Form => ({ expected, fits });
export const optional = (given: Form): Form => ({
  ...given,
  fits: (value) => value === undefined || given.fits(value),
});
export const listOf = (what: string, fits: Form["fits"]): Form =>
  form(`a list of ${what}`, (value) => Array.isArray(value) && value.every(fits));
export const map = form("a map", (value) => typeof value === "object" && value !== null && !Array.isArray(value));
export const mapOf = (parts: Forms): Form => ({ ...map, expected: `a map of ${Object.keys(parts).join(", ")}`, parts });

const isWhole = (value: unknown): boolean => Number.isSafeInteger(value);
const isSize = (value: unknown): boolean => isWhole(value) && (value as number) > 0;

export const text = form("a text", (value) => typeof value === "string" && value !== "");
export const number = form("a finite number", (value) => Number.isFinite(value));
export const positive = form("a number above 0", (value) => number.fits(value) && (value as number) > 0);
/** From 0, included, to 1, excluded. */
export const share = form(
  "a number from 0 up to, but not, 1",
  (value) => number.fits(value) && 0 <= (value as number) && (value as number) < 1,
);
export const whole = form("a whole number", isWhole);
export const size = form("a whole number of at least 1", isSize);
export const truth = form("true or false", (value) => typeof value === "boolean");
export const wholes = listOf("whole numbers", isWhole);
export const sizes = listOf("whole numbers of at least 1", isSize);

/**
 * The options a builder spreads, as they are. A bare value, as in `adam(0.01)` or `maxPool(3, 2)`, would be spread to nothing, and
 * the defaults taken in its place. Throws CONFIG_INVALID.
 */
export function optionsOf<Options extends object>(builder: string, options: Options): Options {
  const hint = "Its options stand in braces, by their names, as in { learningRate: 0.01 }.";
  checkGiven(`${builder}: `, { options }, { options: optional(map) }, hint);
  return options;
}

const shown = (value: unknown): string => {
  const written = inspect(value, { depth: 1, breakLength: Infinity });
  return written.length > 80 ? `${written.slice(0, 80)}…` : written;
};

/** Throws CONFIG_INVALID for the first of these values that is none of its form; `where` stands in front of its name. */
export function checkGiven(where: string, values: Readonly<Record<string, unknown>>, forms: Forms, hint: string): void {
  const refuse = (what: string, found: unknown, expected: string): never => {
    throw new LockstepError("CONFIG_INVALID", `${where}${what}: found ${shown(found)}, expected ${expected}`, hint);
  };
  const known = Object.keys(forms);
  const unknown = Object.keys(values).find((name) => !Object.hasOwn(forms, name));
  if (unknown !== undefined)
    refuse(unknown, values[unknown], `one of ${known.join(", ")}${suggestion(unknown, known)}`);
  for (const [name, { expected, fits, parts }] of Object.entries(forms)) {
    const value = values[name];
    if (!fits(value)) refuse(name, value, expected);
    if (parts !== undefined && value !== undefined)
      checkGiven(`${where}${name}.`, value as Readonly<Record<string, unknown>>, parts, hint);
  }
}
