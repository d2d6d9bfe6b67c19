/** Files for tests: folders that are gone when the test ends, and the IDX files of small pictures. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { onTestFinished } from "vitest";

/** An empty folder, removed when the running test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lockstep-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The bytes of an IDX file of unsigned bytes: magic, big-endian lengths, values. */
export function idxBytes(lengths: readonly number[], values: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * lengths.length + values.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x0800 + lengths.length);
  lengths.forEach((length, axis) => view.setUint32(4 + 4 * axis, length));
  bytes.set(values, 4 + 4 * lengths.length);
  return bytes;
}

/** Four IDX files by their MNIST names: 3 training and 2 test images of 2 × 2 pixels, unless replaced. */
export async function writeIdxFolder(
  folder: string,
  replaced: Readonly<Record<string, Uint8Array | undefined>> = {},
  zip = false,
): Promise<void> {
  const files: Record<string, Uint8Array | undefined> = {
    "train-images-idx3-ubyte": idxBytes([3, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7, 252, 253, 254, 255]),
    "train-labels-idx1-ubyte": idxBytes([3], [7, 0, 9]),
    "t10k-images-idx3-ubyte": idxBytes([2, 2, 2], [10, 20, 30, 40, 50, 60, 70, 80]),
    "t10k-labels-idx1-ubyte": idxBytes([2], [1, 2]),
    ...replaced,
  };
  for (const [name, bytes] of Object.entries(files))
    if (bytes !== undefined) await writeFile(join(folder, zip ? `${name}.gz` : name), zip ? gzipSync(bytes) : bytes);
}
