/** Reads a config file, remembering at which line every value stands. Nothing is checked here but the YAML itself. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { isMap, isNode, isSeq, LineCounter, parseDocument, type Document } from "yaml";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";
import type { PlaceOf, Problem } from "./problems.ts";

export interface Written {
  /** As they stand in the file; usually a map. */
  readonly values: unknown;
  readonly placeOf: PlaceOf;
  /** What relative paths of data files start from. */
  readonly folder: string;
  /** What the schema could not say better. */
  readonly problems: readonly Problem[];
}

/**
 * Reads a YAML file (JSON is YAML). Throws CONFIG_INVALID with file and line.
 * @param hint what to do where there is no such file
 */
export function readConfigFile(path: string, hint = "`lockstep init` writes a commented config."): Written {
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch (cause) {
    const reason = errnoOf(cause) === "ENOENT" ? "no such file" : (errnoOf(cause) ?? String(cause));
    throw new LockstepError("CONFIG_INVALID", `${path}: ${reason}`, hint, { cause });
  }
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const problems = document.errors.map((error) => `${path}:${lines.linePos(error.pos[0]).line}: ${error.message}`);
  if (problems.length > 0) throw new LockstepError("CONFIG_INVALID", problems.join("\n  "), "The file must be YAML.");
  return {
    values: valuesOf(document, path) ?? {},
    placeOf: (keys) => `${path}:${lines.linePos(offsetOf(document, keys)).line}`,
    folder: dirname(resolve(path)),
    problems: [],
  };
}

function valuesOf(document: Document, path: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    // Aliases that refer to nothing, or that multiply without end.
    throw new LockstepError("CONFIG_INVALID", `${path}: ${String(cause)}`, "Write the values out instead.", { cause });
  }
}

/** Where the key or item at a path starts, or the nearest one above it that is there. */
function offsetOf(document: Document, keys: readonly PropertyKey[]): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const key of keys) {
    if (isMap(node)) {
      const pair = node.items.find((item) => String(item.key) === String(key));
      if (pair === undefined) break;
      offset = (isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof key === "number") {
      node = node.items[key];
      offset = (isNode(node) ? node.range?.[0] : undefined) ?? offset;
    } else break;
  }
  return offset;
}
