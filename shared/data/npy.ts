/**
 * NumPy's formats: an array in a .npy file (numpy.lib.format, versions 1 to 3), and several in a .npz archive. Arrays are [samples,
 * …] in C order; features are bytes, float32 or float64, targets those or integers. An uncompressed .npy file of bytes or
 * float32 that is too large for memory stays where it is.
 */
import { product } from "../shape.ts";
import { createDataset, type Dataset } from "./dataset.ts";
import type { Features } from "./features.ts";
import { bytesOfFile, featuresOf, invalidFile, partOfFile, sizeOfFile, type Destination } from "./files.ts";
import type { Parts } from "./parts.ts";
import type { SpecOf } from "./spec.ts";
import { targetsFrom } from "./targets.ts";
import { unzip } from "./zip.ts";

/** An array's header. */
interface Header {
  /** What errors call it. */
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  /** Bytes before the values. */
  readonly offset: number;
}

/** Bytes of a value, and how one is read. Big-endian types are none of them. */
const types: Readonly<
  Record<string, { readonly bytes: number; readonly read: (view: DataView, at: number) => number }>
> = {
  "|u1": { bytes: 1, read: (view, at) => view.getUint8(at) },
  "|b1": { bytes: 1, read: (view, at) => view.getUint8(at) },
  "|i1": { bytes: 1, read: (view, at) => view.getInt8(at) },
  "<u2": { bytes: 2, read: (view, at) => view.getUint16(at, true) },
  "<i2": { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  "<u4": { bytes: 4, read: (view, at) => view.getUint32(at, true) },
  "<i4": { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  "<u8": { bytes: 8, read: (view, at) => Number(view.getBigUint64(at, true)) },
  "<i8": { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  "<f4": { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  "<f8": { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
};

/** Throws DATA_MISSING or DATA_INVALID. */
export async function openNpy(spec: SpecOf<"npy">, to: Destination): Promise<Parts> {
  const part = async (features: string, targets: string): Promise<Dataset> => {
    const header = headerOf(features, await partOfFile(features, 0, 65_536));
    const size = await sizeOfFile(features);
    checkSize(header, size);
    const isAsStored = header.type === "|u1" || header.type === "<f4";
    const [samples = 0, ...sampleShape] = header.shape;
    const width = product(sampleShape);
    const stored = header.type === "|u1" ? "uint8" : "float32";
    const stride = width * (stored === "uint8" ? 1 : 4);
    const record = { path: features, stored, offset: header.offset, stride, samples } as const;
    const values = isAsStored ? featuresOf([record], width, to) : converted(header, await bytesOfFile(features));
    return datasetOf(
      header,
      values,
      headerOf(targets, await partOfFile(targets, 0, 65_536)),
      await bytesOfFile(targets),
      spec,
    );
  };
  const { features, targets, testFeatures, testTargets } = spec;
  if (testFeatures === undefined || testTargets === undefined) {
    const [given, missing] = testTargets === undefined ? [testFeatures, "testTargets"] : [testTargets, "testFeatures"];
    if (given === undefined) return { train: await part(features, targets) };
    throw invalidFile(given, `belongs to a test part, but data.npy names no ${missing}`, "Name both, or neither.");
  }
  return { train: await part(features, targets), test: await part(testFeatures, testTargets) };
}

/** Throws DATA_MISSING or DATA_INVALID. */
export async function openNpz(spec: SpecOf<"npz">): Promise<Parts> {
  const { path, features = "x_train", targets = "y_train", testFeatures = "x_test", testTargets = "y_test" } = spec;
  const zipped = await bytesOfFile(path);
  const wanted = [features, targets, testFeatures, testTargets].map((name) => `${name}.npy`);
  const { files, names } = unzip(path, zipped, wanted);
  const found = names.map((name) => name.replace(/\.npy$/, ""));
  const arrayOf = (name: string): { header: Header; bytes: Uint8Array } => {
    const bytes = files[`${name}.npy`];
    if (bytes === undefined)
      throw invalidFile(
        path,
        `no array is named ${name}; there are ${found.join(", ")}`,
        "Name the arrays in data.npz.",
      );
    const header = headerOf(`${path}, array ${name}`, bytes);
    checkSize(header, bytes.length);
    return { header, bytes };
  };
  const part = (ofFeatures: string, ofTargets: string): Dataset => {
    const { header, bytes } = arrayOf(ofFeatures);
    const values = header.type === "|u1" ? bytes.subarray(header.offset) : converted(header, bytes);
    const wantedTargets = arrayOf(ofTargets);
    return datasetOf(header, values, wantedTargets.header, wantedTargets.bytes, spec);
  };
  const train = part(features, targets);
  const isTested =
    found.includes(testFeatures) ||
    found.includes(testTargets) ||
    spec.testFeatures !== undefined ||
    spec.testTargets !== undefined;
  return isTested ? { train, test: part(testFeatures, testTargets) } : { train };
}

function datasetOf(
  features: Header,
  values: Features,
  targets: Header,
  bytes: Uint8Array,
  { classes }: { readonly classes?: number },
): Dataset {
  checkSize(targets, bytes.length);
  const [samples = 0, ...sampleShape] = features.shape;
  const [rows = 0, ...rest] = targets.shape;
  if (sampleShape.length === 0 || samples === 0)
    throw invalidFile(
      features.name,
      `an array of shape [${features.shape.join(", ")}] has no samples of several values`,
      "Features are [samples, …].",
    );
  if (rows !== samples)
    throw invalidFile(
      targets.name,
      `expected ${samples} rows, as ${features.name} has, found ${rows}`,
      "Give every sample its target.",
    );
  const raw = converted(targets, bytes);
  const { target, array } = targetsFrom(raw, product(rest), classes, (row) => `row ${row} of ${targets.name}`);
  const content = { sampleShape, target, features: values, targets: array };
  return createDataset(content, (sample) => `row ${sample} of ${features.name}`);
}

/** All values as float32. */
function converted({ type, offset, shape }: Header, bytes: Uint8Array): Float32Array {
  const { bytes: size, read } = types[type]!;
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, bytes.length - offset);
  return Float32Array.from({ length: product(shape) }, (_, at) => read(view, at * size));
}

function headerOf(name: string, bytes: Uint8Array): Header {
  const again = "Save it again with numpy.save, as a plain array.";
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < 12 || view.subarray(0, 6).toString("latin1") !== "\x93NUMPY")
    throw invalidFile(`${name} at offset 0`, "no NumPy array: it does not start with \\x93NUMPY", again);
  const isLong = view[6]! > 1;
  const start = isLong ? 12 : 10;
  const length = isLong ? view.readUInt32LE(8) : view.readUInt16LE(8);
  const text = view.subarray(start, start + length).toString("latin1");
  const [, type] = /'descr': *'([^']*)'/.exec(text) ?? [];
  const [, order] = /'fortran_order': *(True|False)/.exec(text) ?? [];
  const [, sizes] = /'shape': *\(([^)]*)\)/.exec(text) ?? [];
  const shape = sizes?.split(",").flatMap((size) => (size.trim() === "" ? [] : [Number(size)]));
  if (
    start + length > view.length ||
    type === undefined ||
    order === undefined ||
    shape === undefined ||
    !shape.every(Number.isSafeInteger)
  )
    throw invalidFile(
      `${name} at offset ${start}`,
      `the header is not readable: ${JSON.stringify(text.slice(0, 100))}`,
      again,
    );
  if (order === "True") throw invalidFile(name, "the array is in Fortran order", "Save numpy.ascontiguousarray of it.");
  if (types[type] === undefined)
    throw invalidFile(
      name,
      `the array has the type ${type}, expected one of ${Object.keys(types).join(", ")}`,
      "Convert it with astype, as in x.astype(numpy.float32).",
    );
  return { name, type, shape, offset: start + length };
}

function checkSize({ name, type, shape, offset }: Header, size: number): void {
  const expected = product(shape) * types[type]!.bytes;
  if (size - offset === expected) return;
  throw invalidFile(
    `${name} at offset ${offset}`,
    `expected ${expected} bytes of data ([${shape.join(", ")}] of ${type}), found ${size - offset}`,
    "Save the array again; it may have been cut short.",
  );
}
