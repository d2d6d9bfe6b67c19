/**
 * The vocabulary the schema is written in. Every field's error text says what would be right ("a whole number of at
 * least 1"); problems.ts puts the place, the key path and the value found in front of it.
 */
import { z } from "zod";
import { LONGEST_NAME } from "../../shared/ids.ts";
import { ONE_LINE } from "../../shared/protocol/validate.ts";
import { suggestion } from "../../shared/suggest.ts";

/** What is expected, with the largest number there is where one beyond it was found. */
const upTo =
  (expected: string, largest: number) =>
  ({ input }: { readonly input?: unknown }): string =>
    typeof input === "number" && input > largest ? `${expected}, ${largest} at most` : expected;

/** An integer from `least` to `most`, both included. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): z.ZodType<number> {
  const error =
    most === Number.MAX_SAFE_INTEGER
      ? upTo(`a whole number of at least ${least}`, most)
      : `a whole number from ${least} to ${most}`;
  return z.number({ error }).int({ error }).min(least, { error }).max(most, { error });
}

export const positive = z
  .number({ error: upTo("a number above 0", Number.MAX_VALUE) })
  .positive({ error: "a number above 0" });

export const notNegative = z
  .number({ error: upTo("a number of at least 0", Number.MAX_VALUE) })
  .min(0, { error: "a number of at least 0" });

/** From 0, included, to 1, excluded. */
export const fraction = z
  .number({ error: "a number from 0 up to, but not, 1" })
  .min(0, { error: "a number from 0 up to, but not, 1" })
  .lt(1, { error: "a number from 0 up to, but not, 1" });

/** From 0 to 1, both included. */
export const share = z
  .number({ error: "a number from 0 to 1" })
  .min(0, { error: "a number from 0 to 1" })
  .max(1, { error: "a number from 0 to 1" });

/** Above 0, up to 1. */
export const aboveZeroToOne = z
  .number({ error: "a number above 0, 1 at most" })
  .gt(0, { error: "a number above 0, 1 at most" })
  .max(1, { error: "a number above 0, 1 at most" });

export const onOrOff = z
  .union([z.boolean(), z.enum(["on", "off"])], { error: "on or off" })
  .transform((value) => value === true || value === "on");

export const yesOrNo = z.boolean({ error: "true or false" });

export const text = (what: string): z.ZodType<string> => z.string({ error: what }).min(1, { error: what });

/** What workers take as a name that they are told of. */
export const nameRule = `one line, ${LONGEST_NAME.toLocaleString("en-US")} characters at most`;

/** Such a name; `error` says what it names, and the rule. */
export const name = (error: string): z.ZodType<string> =>
  z.string({ error }).min(1, { error }).max(LONGEST_NAME, { error }).regex(ONE_LINE, { error });

export function oneOf<const Name extends string>(names: readonly Name[]): z.ZodType<Name> {
  return z.enum(names, { error: (issue) => `one of ${names.join(", ")}${suggestion(issue.input, names)}` });
}

/**
 * An object with these keys and no others. The message of `unrecognized_keys` has one line for each key of the issue, so
 * that each can be reported where it stands.
 */
export function strict<Shape extends z.core.$ZodShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys
            .map((key) => `unknown key${suggestion(key, known) || `; known are ${known.join(", ")}`}`)
            .join("\n")
        : `a map of options (${known.join(", ")})`,
  });
}

/**
 * For each kind of a tagged union, a schema for each of its options: the type checker refuses an option that is missing
 * here, unknown there, or of another type.
 */
export type Forms<Spec extends { kind: string }> = {
  readonly [Kind in Spec["kind"]]: OptionsOf<Spec & { kind: Kind }>;
};
type OptionsOf<Spec> = { readonly [Key in Exclude<keyof Spec, "kind">]-?: z.ZodType<Required<Spec>[Key]> };

/** One of several named forms, as it was written. */
interface Choice {
  readonly name: string;
  readonly options: unknown;
  /** Where the options stand, seen from the choice. */
  readonly path: readonly PropertyKey[];
  /** The only option, where its value was written in place of a map. */
  readonly alone?: string;
}

/** The main option of those forms for which `name: value` stands for it. */
type Short = Readonly<Record<string, string>>;

export const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads any of the ways to write a choice (see below); undefined where it is none. */
export function readChoice(value: unknown, short: Short = {}): Choice | undefined {
  if (typeof value === "string") return { name: value, options: {}, path: [] };
  if (!isMap(value)) return undefined;
  const { kind, ...options } = value;
  if (typeof kind === "string") {
    return { name: kind, options, path: [] };
  }
  const [name, ...others] = Object.keys(value);
  if (name === undefined || others.length > 0) return undefined;
  const written = value[name] ?? {};
  const main = Object.hasOwn(short, name) ? short[name] : undefined;
  return main === undefined || isMap(written)
    ? { name, options: written, path: [name] }
    : { name, options: { [main]: written }, path: [name], alone: main };
}

/**
 * One of several named forms. A file writes `name` or `name: {options}`; where `short` names a form's main option, also
 * `name: value`. The resolved form `{kind: name, ...options}` is accepted too: that is what a run's config.json and the
 * builders of the TypeScript API hold. `aliases` are names that stand for a whole spec.
 */
export function choice<Spec extends { kind: string }>(
  forms: Forms<Spec>,
  extras: { readonly short?: Short; readonly aliases?: Readonly<Record<string, Spec>> } = {},
): z.ZodType<Spec> {
  const { short = {}, aliases = {} } = extras;
  const names = [...Object.keys(forms), ...Object.keys(aliases)];
  const schemas = new Map(Object.entries<z.core.$ZodShape>(forms).map(([name, options]) => [name, strict(options)]));
  return z.unknown().transform((value, context): Spec => {
    const refuse = (message: string, path: readonly PropertyKey[], found?: string): never => {
      context.addIssue({ code: "custom", message, path: [...path], params: { found } });
      return z.NEVER;
    };
    const read = readChoice(value, short);
    if (read === undefined) {
      const nested = isMap(value) && Object.keys(value).length > 1 ? "; its options go below it, one level in" : "";
      return refuse(`one of ${names.join(", ")}${nested}`, []);
    }
    const alias = Object.hasOwn(aliases, read.name) ? aliases[read.name] : undefined;
    if (alias !== undefined) {
      const empty = isMap(read.options) && Object.keys(read.options).length === 0;
      return empty ? alias : refuse(`no options: ${read.name} stands alone`, read.path);
    }
    const schema = schemas.get(read.name);
    if (schema === undefined) return refuse(`one of ${names.join(", ")}${suggestion(read.name, names)}`, [], read.name);
    const parsed = schema.safeParse(read.options);
    // `Forms` ties the options of each kind to its spec; the checker cannot follow that through the lookup by name.
    if (parsed.success) return { kind: read.name, ...parsed.data } as unknown as Spec;
    for (const issue of parsed.error.issues) {
      const inner = issue.path[0] === read.alone ? issue.path.slice(1) : issue.path;
      context.issues.push({ ...issue, path: [...read.path, ...inner] } as z.core.$ZodRawIssue);
    }
    return z.NEVER;
  });
}
