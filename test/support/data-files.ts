/** Writers of the data formats that Lockstep reads, for tests: each as its specification says, independent of the readers. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { zipSync } from "fflate";
import { encode } from "fast-png";

/** The bytes of a .npy file, version 1. */
export function npyBytes(type: string, shape: readonly number[], values: Uint8Array, order = "False"): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${type}', 'fortran_order': ${order}, 'shape': (${sizes}), }`;
  const header = `${text.padEnd(Math.ceil((10 + text.length + 1) / 64) * 64 - 11)}\n`;
  const length = Buffer.alloc(2);
  length.writeUInt16LE(header.length);
  return Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), length, Buffer.from(header, "latin1"), values]);
}

export const bytesOf = (array: Float32Array | Float64Array | Int32Array | BigInt64Array): Uint8Array =>
  new Uint8Array(array.buffer);

/** The bytes of an archive of arrays. @param level 0: as they are, 9: made as small as can be */
export const npzBytes = (arrays: Readonly<Record<string, Uint8Array>>, level: 0 | 6 | 9 = 6): Uint8Array =>
  zipSync(Object.fromEntries(Object.entries(arrays).map(([name, bytes]) => [`${name}.npy`, bytes])), { level });

/** The bytes of a safetensors file. */
export function safetensorsBytes(
  tensors: Readonly<Record<string, readonly [type: string, shape: readonly number[], values: Uint8Array]>>,
): Uint8Array {
  let end = 0;
  const header = JSON.stringify(
    Object.fromEntries(
      Object.entries(tensors).map(([name, [dtype, shape, values]]) => [
        name,
        { dtype, shape, data_offsets: [end, (end += values.length)] },
      ]),
    ),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, Buffer.from(header), ...Object.values(tensors).map(([, , values]) => values)]);
}

/** Writes PNG images under these paths: `cat/1.png` is of the class cat. */
export async function writeImages(
  folder: string,
  images: Readonly<Record<string, { width: number; height: number; channels: 1 | 2 | 3 | 4; data: readonly number[] }>>,
): Promise<void> {
  for (const [name, { data, ...form }] of Object.entries(images)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), encode({ ...form, depth: 8, data: Uint8Array.from(data) }));
  }
}
