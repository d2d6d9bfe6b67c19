/** Reads a config file, remembering at which line every value stands. Nothing is checked here but the YAML itself. */
import { isUtf8 } from "node:buffer";
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { isMap, isNode, isSeq, LineCounter, parseDocument, visit, type Document, type YAMLError } from "yaml";
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
  const source = textOf(path, hint);
  const lines = new LineCounter();
  // What it warns of, keys that are no text, is refused below.
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  const problems = document.errors.map((error) => {
    const [message, todo] = explained(error, document);
    return { message: `${path}:${lines.linePos(error.pos[0]).line}: ${message}`, todo };
  });
  if (problems.length > 0)
    throw new LockstepError(
      "CONFIG_INVALID",
      problems.map(({ message }) => message).join("\n  "),
      [...new Set(problems.map(({ todo }) => todo))].join(" "),
    );
  return {
    values: valuesOf(document, path, lines) ?? {},
    placeOf: (keys) => `${path}:${lines.linePos(offsetOf(document, keys)).line}`,
    // A pipe, as in `lockstep train <(sed … job.yaml)`, lies nowhere.
    folder: statSync(path, { throwIfNoEntry: false })?.isFile() === true ? dirname(resolve(path)) : process.cwd(),
    problems: [],
  };
}

function textOf(path: string, hint: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const code = errnoOf(cause) ?? String(cause);
    const [reason, todo] = reasons[code] ?? [code, "Check that this user may read it."];
    throw new LockstepError("CONFIG_INVALID", `${path}: ${reason}`, todo ?? hint, { cause });
  }
  if (isUtf8(bytes)) return bytes.toString("utf8");
  let [line, begin] = [1, 0];
  for (
    let end = bytes.indexOf("\n");
    end >= 0 && isUtf8(bytes.subarray(begin, end));
    end = bytes.indexOf("\n", begin)
  ) {
    line += 1;
    begin = end + 1;
  }
  throw new LockstepError("CONFIG_INVALID", `${path}:${line}: the text is not UTF-8`, "Save the file again as UTF-8.");
}

/** Why a file could not be read, by the system's code, and what to do where that is not the reader's to say. */
const reasons: Readonly<Record<string, readonly [reason: string, todo?: string]>> = {
  ENOENT: ["no such file"],
  EISDIR: ["a folder, not a file", "Name the config file in it."],
};

/** What is wrong, and what to do; the library's sentences about what is YAML, but no config, are for programmers. */
function explained({ code, message, pos }: YAMLError, document: Document): readonly [message: string, todo: string] {
  switch (code) {
    case "DUPLICATE_KEY":
      return [
        `${keyAt(document, pos[0])} stands here once more`,
        "Each key may stand once in a map: leave one of them.",
      ];
    case "MULTIPLE_DOCS":
      return ["a second document begins here, and a config is one", "Leave out the line ---, or what follows it."];
    default:
      return [message, "The file must be YAML."];
  }
}

function keyAt(document: Document, offset: number): string {
  let found = "the key";
  visit(document, {
    Pair(_, { key }) {
      if (!isNode(key) || key.range?.[0] !== offset) return undefined;
      found = String(key);
      return visit.BREAK;
    },
  });
  return found;
}

/** Throws CONFIG_INVALID for aliases that no values can be made of. */
function valuesOf(document: Document, path: string, lines: LineCounter): unknown {
  const hint = "Write the values out instead.";
  visit(document, {
    Alias(_, alias, ancestors) {
      const target = alias.resolve(document);
      if (target !== undefined && !ancestors.includes(target)) return;
      const place = `${path}:${lines.linePos(alias.range?.[0] ?? 0).line}`;
      const problem = target === undefined ? `no &${alias.source} stands before it` : "it is part of that itself";
      throw new LockstepError("CONFIG_INVALID", `${place}: *${alias.source} stands for nothing: ${problem}`, hint);
    },
  });
  try {
    return document.toJS();
  } catch (cause) {
    // Aliases that multiply without end.
    throw new LockstepError("CONFIG_INVALID", `${path}: ${String(cause)}`, hint, { cause });
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
