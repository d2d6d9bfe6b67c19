/** The schemas of `data` and `augment`. */
import { z } from "zod";
import type { AugmentSpec } from "../../shared/data/augment.ts";
import type { DataSpec } from "../../shared/data/spec.ts";
import { MOST_CLASS_NAMES } from "../../shared/protocol/messages.ts";
import {
  aboveZeroToOne,
  choice,
  name,
  nameRule,
  oneOf,
  positive,
  text,
  wholeNumber,
  yesOrNo,
  type Forms,
} from "./fields.ts";

const column = `the name of a column (${nameRule}), or its number counted from 0`;
const file = (what: string): z.ZodType<string> => text(`the path of ${what}`);
const arrayName = name(`an array's name (${nameRule})`);
const classes = wholeNumber(2).exactOptional();
const className = name(`a class's name (${nameRule})`);
const classList = `a number of classes, 2 at least, or a list of their names, 2 to ${MOST_CLASS_NAMES.toLocaleString("en-US")}`;

const table = (what: string) => ({
  train: file(what),
  test: file(what).exactOptional(),
  target: z.union([name(column), wholeNumber(0)], { error: column }),
  classes: z
    .union(
      [
        wholeNumber(2),
        z
          .array(className)
          .min(2, { error: classList })
          .max(MOST_CLASS_NAMES, { error: classList })
          .refine((names) => new Set(names).size === names.length, { error: "names that differ" }),
      ],
      {
        error: classList,
      },
    )
    .exactOptional(),
  columns: z
    .record(z.string(), oneOf(["number", "standard", "category", "ignore"]), {
      error: "a map of columns and their types",
    })
    .exactOptional(),
  standardise: yesOrNo.exactOptional(),
});

export const dataForms: Forms<DataSpec> = {
  mnist: {},
  idx: { path: file("a folder with the four MNIST-named IDX files"), classes },
  csv: { ...table("a CSV file"), header: yesOrNo.exactOptional(), scale: positive.exactOptional() },
  jsonLines: table("a file with a JSON object a line"),
  npy: {
    features: file("a .npy file"),
    targets: file("a .npy file"),
    testFeatures: file("a .npy file").exactOptional(),
    testTargets: file("a .npy file").exactOptional(),
    classes,
  },
  npz: {
    path: file("a .npz file"),
    features: arrayName.exactOptional(),
    targets: arrayName.exactOptional(),
    testFeatures: arrayName.exactOptional(),
    testTargets: arrayName.exactOptional(),
    classes,
  },
  images: {
    train: file("a folder with a folder of PNG images for each class"),
    test: file("a folder with a folder of PNG images for each class").exactOptional(),
    channels: z.union([z.literal(1), z.literal(3)], { error: "1 for grey, 3 for colour" }).exactOptional(),
    classes,
  },
  text: {
    train: file("a text file"),
    test: file("a text file").exactOptional(),
    length: wholeNumber(1),
    predict: oneOf(["next", "each"]).exactOptional(),
    vocabulary: wholeNumber(257, 65_536).exactOptional(),
  },
  safetensors: { train: file("a safetensors file"), test: file("a safetensors file").exactOptional(), classes },
  cifar: {
    path: file("a folder with CIFAR's binary files"),
    classes: z.union([z.literal(10), z.literal(100)], { error: "10 or 100" }).exactOptional(),
  },
};

export const dataSchema = choice<DataSpec>(dataForms, {
  short: { idx: "path", npz: "path", cifar: "path", images: "train" },
});

export const augmentForms: Forms<AugmentSpec> = {
  shift: { pixels: wholeNumber(1) },
  flip: {},
  crop: { least: aboveZeroToOne },
  rotate: { degrees: positive.max(180, { error: "a number above 0, 180 at most" }) },
  cutout: { size: wholeNumber(1) },
};

export const augmentSchema: z.ZodType<AugmentSpec[]> = z
  .array(
    choice<AugmentSpec>(augmentForms, { short: { shift: "pixels", crop: "least", rotate: "degrees", cutout: "size" } }),
    {
      error: "a list of augmentations",
    },
  )
  .max(16, { error: "16 augmentations at most" });
