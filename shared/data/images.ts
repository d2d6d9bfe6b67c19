/**
 * A folder of PNG images, in a folder for each class. All have one size and become bytes: grey [height, width], or colour [3, height,
 * width], channel by channel. What is transparent is black. Folders may be links to some.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { createDataset, type Dataset } from "./dataset.ts";
import { bytesOfFile, invalidFile, type Destination } from "./files.ts";
import type { Parts } from "./parts.ts";
import { decodePng, isGrey, bytesOfPixels, type Png } from "./png.ts";
import { FeatureSink } from "./sink.ts";
import type { SpecOf } from "./spec.ts";
import { unreadable } from "./unreadable.ts";

/** What the first image decides for all. */
interface Form {
  /** What errors call that image. */
  readonly path: string;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

/** Throws DATA_MISSING or DATA_INVALID. */
export async function openImages(spec: SpecOf<"images">, to: Destination): Promise<Parts> {
  const classes = await foldersIn(spec.train);
  if (classes.length < 2 || (spec.classes !== undefined && spec.classes !== classes.length))
    throw invalidFile(
      spec.train,
      `expected a folder for each of ${spec.classes ?? "at least 2"} classes, found ${classes.length === 0 ? "none" : classes.join(", ")}`,
      "Each class has a folder, and in it its images.",
    );
  const { dataset: train, form } = await part(spec.train, classes, spec.channels, to);
  const encoders = { image: imageEncoder(form, form.channels) };
  const parts = { train, classNames: classes, encoders };
  if (spec.test === undefined) return parts;
  const unknown = (await foldersIn(spec.test)).find((name) => !classes.includes(name));
  if (unknown !== undefined)
    throw invalidFile(join(spec.test, unknown), `no such class in ${spec.train}`, "Both parts need the same folders.");
  return { ...parts, test: (await part(spec.test, classes, form.channels, to, form)).dataset };
}

async function part(
  folder: string,
  classes: readonly string[],
  channels: 1 | 3 | undefined,
  to: Destination,
  like?: Form,
): Promise<{ dataset: Dataset; form: Form }> {
  const sink = new FeatureSink("uint8", to);
  const targets: number[] = [];
  let form = like;
  for (const [label, name] of classes.entries()) {
    const files = await imagesIn(join(folder, name));
    if (like === undefined && files.length === 0)
      throw invalidFile(
        join(folder, name),
        "there is no PNG image of this class",
        "Images end in .png; convert others, or remove the folder.",
      );
    for (const file of files) {
      const path = join(folder, name, file);
      const png = decodePng(path, await bytesOfFile(path));
      form ??= { path, width: png.width, height: png.height, channels: channels ?? (isGrey(png) ? 1 : 3) };
      sink.append(bytesOfPixels(checked(path, png, form, channels), form.channels));
      targets.push(label);
    }
  }
  if (form === undefined || targets.length === 0)
    throw invalidFile(folder, "there is no PNG image", "Images end in .png.");
  const { width, height } = form;
  const dataset = createDataset({
    sampleShape: form.channels === 1 ? [height, width] : [3, height, width],
    target: { kind: "class", classes: classes.length },
    features: sink.finish(form.channels * height * width),
    targets: Int32Array.from(targets),
  });
  return { dataset, form };
}

/** The image, if it has the form. @param channels what the data's spec says of them */
function checked(path: string, png: Png, form: Form, channels: 1 | 3 | undefined): Png {
  if (png.width !== form.width || png.height !== form.height)
    throw invalidFile(
      path,
      `the image is ${png.width} × ${png.height}, ${form.path} is ${form.width} × ${form.height}`,
      "Bring all images to one size.",
    );
  if (form.channels === 1 && !isGrey(png) && channels === undefined)
    throw invalidFile(
      path,
      `the image has colours, ${form.path} has none`,
      "Set data.images.channels to 3 to read all in colour, or to 1 to read all in grey.",
    );
  return png;
}

/** Makes a sample of an image that has the form. */
export const imageEncoder =
  (form: Form, channels: 1 | 3 | undefined) =>
  (bytes: Uint8Array, path: string): Float32Array =>
    Float32Array.from(
      bytesOfPixels(checked(path, decodePng(path, bytes), form, channels), form.channels),
      (value) => value / 255,
    );

/** In the order of their characters' numbers, which no locale changes. */
const inOrder = (names: string[]): string[] => names.sort((left, right) => (left < right ? -1 : left > right ? 1 : 0));

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw unreadable(folder, cause);
  });
  const folders: string[] = [];
  for (const entry of entries)
    if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(join(folder, entry.name)))))
      folders.push(entry.name);
  return inOrder(folders);
}

/** Whether a link leads to a folder. */
const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

const imagesIn = async (folder: string): Promise<string[]> => {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw unreadable(folder, cause);
  });
  return inOrder(names.filter((name) => /\.png$/i.test(name)));
};
