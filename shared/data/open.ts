/** Opens what a DataSpec names. */

import { createHash } from "node:crypto";
import { unreachable } from "../errors.ts";
import { checkAlike } from "./alike.ts";
import { partOf, type Dataset } from "./dataset.ts";
import { OpenFiles, type Destination } from "./files.ts";
import type { Parts } from "./parts.ts";
import { split, wholeReading, type Reading } from "./reading.ts";
import { mainPath, type DataSpec } from "./spec.ts";

/** The parts of a run; `sha256` names them together: coordinator and workers compare it at join. */
export interface OpenedData extends Parts {
  readonly sha256: string;
  /** As they were read, with nothing held out. */
  readonly source: Parts;
  /** The source's own test part, where the run is evaluated on a held-out part of the training samples instead. */
  readonly reserved?: Dataset;
  /** Closes the files that samples are read from: nobody may read any afterwards. */
  readonly close: () => void;
}

/** Reads and checks the data. Throws DATA_MISSING or DATA_INVALID, naming the file and the place in it. */
export async function openData(spec: DataSpec, reading: Reading = wholeReading): Promise<OpenedData> {
  const files = new OpenFiles();
  return files.during(async () => forRun(await openParts(spec, { ...reading, files }), reading, files, mainPath(spec)));
}

/**
 * What a run makes of a source's parts: with a share held out, the training samples without it and, to evaluate on, that share.
 * Throws DATA_INVALID where the parts don't belong together; `place` is what the error calls them.
 * @param files those that samples of the source are read from
 */
export function forRun(source: Parts, reading: Reading, files = new OpenFiles(), place = "the data"): OpenedData {
  if (source.test !== undefined) checkAlike(place, source.train, source.test);
  const sha256 = createHash("sha256").update(namesOf(source)).digest("hex");
  const close = (): void => files.close();
  if (reading.validation === 0) return { ...source, source, sha256, close };
  const { train, held } = split(source.train.length, reading);
  return {
    ...source,
    source,
    train: partOf(source.train, "train", train),
    test: partOf(source.train, "validation", held),
    sha256,
    close,
    ...(source.test === undefined ? {} : { reserved: source.test }),
  };
}

/** The text whose SHA-256 names the parts together. */
export const namesOf = ({ train, test }: Parts): string => `train ${train.sha256}\ntest ${test?.sha256 ?? "none"}\n`;

/** A format's reader, and the libraries it needs, are loaded where data of that format is read. */
async function openParts(spec: DataSpec, reading: Reading & Destination): Promise<Parts> {
  switch (spec.kind) {
    case "mnist":
      return (await import("./mnist.ts")).openMnist();
    case "idx":
      return (await import("./idx.ts")).openIdxFolder(spec.path, spec.classes ?? 10, reading);
    case "csv":
      return (await import("./csv.ts")).openCsv(spec, reading);
    case "jsonLines":
      return (await import("./json-lines.ts")).openJsonLines(spec, reading);
    case "npy":
      return (await import("./npy.ts")).openNpy(spec, reading);
    case "npz":
      return (await import("./npy.ts")).openNpz(spec);
    case "images":
      return (await import("./images.ts")).openImages(spec, reading);
    case "text":
      return (await import("./text.ts")).openText(spec, reading);
    case "safetensors":
      return (await import("./safetensors-data.ts")).openSafetensors(spec, reading);
    case "cifar":
      return (await import("./cifar.ts")).openCifar(spec, reading);
    default:
      return unreachable(spec);
  }
}
