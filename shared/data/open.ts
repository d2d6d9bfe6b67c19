/** Opens what a DataSpec names. */

import { createHash } from "node:crypto";
import { unreachable } from "../errors.ts";
import { openCsv } from "./csv.ts";
import type { Dataset } from "./dataset.ts";
import { openIdxFolder } from "./idx.ts";
import { openMnist } from "./mnist.ts";
import type { DataSpec } from "./spec.ts";

/** The parts of a data source; `sha256` names them together: coordinator and workers compare it at join. */
export interface OpenedData {
  readonly train: Dataset;
  readonly test?: Dataset;
  readonly sha256: string;
}

/** Reads and checks the data. Throws DATA_MISSING or DATA_INVALID, naming the file and the place in it. */
export async function openData(spec: DataSpec): Promise<OpenedData> {
  const parts = await openParts(spec);
  return { ...parts, sha256: createHash("sha256").update(namesOf(parts)).digest("hex") };
}

/** The text whose SHA-256 names the parts together. */
export const namesOf = ({ train, test }: Pick<OpenedData, "train" | "test">): string =>
  `train ${train.sha256}\ntest ${test?.sha256 ?? "none"}\n`;

function openParts(spec: DataSpec): Promise<{ train: Dataset; test?: Dataset }> {
  switch (spec.kind) {
    case "mnist":
      return openMnist();
    case "idx":
      return openIdxFolder(spec.path, spec.classes ?? 10);
    case "csv":
      return openCsv(spec);
    default:
      return unreachable(spec);
  }
}
