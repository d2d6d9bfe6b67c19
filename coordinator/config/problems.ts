/**
 * What is wrong with a config, and how it is told: every problem with its place (file:line or flag), its key path, the
 * value found and what would be right; all problems at once.
 */
import { inspect } from "node:util";
import type { z } from "zod";
import { LockstepError } from "../../shared/errors.ts";

/** What is wrong with the value at `path`. */
export interface Problem {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** Names where the value at a path was written, such as `lockstep.yaml:12` or `--batch`. */
export type PlaceOf = (path: readonly PropertyKey[]) => string;

/** `model.layers[2].dense` */
export function keyPath(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => (typeof key === "number" ? `[${key}]` : `${index === 0 ? "" : "."}${String(key)}`))
    .join("");
}

/** The value at a path, or undefined where there is none. */
export function valueAt(values: unknown, path: readonly PropertyKey[]): unknown {
  let value = values;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

export function shown(value: unknown): string {
  const json = typeof value === "number" ? String(value) : jsonOf(value);
  return json.length > 60 ? `${json.slice(0, 60)}…` : json;
}

/** What JSON cannot write, such as a whole number like 10n or a list that is part of itself, as Node shows it. */
function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return inspect(value, { depth: 1, breakLength: Infinity });
  }
}

/** The schema's issues as problems; a field is reported once, by its first issue. */
export function problemsOf(issues: readonly z.core.$ZodIssue[], values: unknown): Problem[] {
  const problems = new Map<string, Problem>();
  const add = (path: readonly PropertyKey[], message: string): void => {
    const key = keyPath(path);
    if (!problems.has(key)) problems.set(key, { path, message });
  };
  for (const { path, message, ...issue } of issues) {
    if (issue.code === "unrecognized_keys") {
      const sentences = message.split("\n");
      for (const [index, key] of issue.keys.entries()) add([...path, key], sentences[index] ?? message);
    } else {
      const named: unknown = issue.code === "custom" ? issue.params?.["found"] : undefined;
      const value = named ?? valueAt(values, path);
      add(path, value === undefined ? `missing, expected ${message}` : `found ${shown(value)}, expected ${message}`);
    }
  }
  return [...problems.values()];
}

/** What opens every sentence about a value: its place and, unless a flag's name says it already, its key path. */
export function opening(path: readonly PropertyKey[], placeOf: PlaceOf): string {
  const place = placeOf(path);
  const key = keyPath(path) || "the config";
  return place === `--${key}` ? place : `${place}: ${key}`;
}

const forTrain = "`lockstep init` writes a config that explains every option; `lockstep train --help` lists the flags.";

/** One error for all problems, in the order of their lines. */
export function configInvalid(problems: readonly Problem[], placeOf: PlaceOf, hint = forTrain): LockstepError {
  const lines = problems.map(({ path, message }) => `${opening(path, placeOf)}: ${message}`);
  lines.sort((left, right) => left.localeCompare(right, "en", { numeric: true }));
  return new LockstepError(
    "CONFIG_INVALID",
    lines.length === 1 ? lines.join() : `${lines.length} problems in the config\n  ${lines.join("\n  ")}`,
    hint,
  );
}
