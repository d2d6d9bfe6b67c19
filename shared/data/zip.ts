/**
 * Files of a zip archive (PKWARE's APPNOTE, sections 4.3 to 4.5), which lie in memory once unpacked. What unpacks them does not look at
 * the archive's checksums: that is done here, so that a damaged file is never taken for a whole one.
 */
import { crc32 } from "node:zlib";
import { strFromU8, unzipSync } from "fflate";
import { invalidFile } from "./files.ts";

interface Unzipped {
  /** Those that were wanted and are there, by name. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** All names, in the archive's order. */
  readonly names: readonly string[];
}

/** Throws DATA_INVALID for what is no archive, or a damaged one. `path` is what errors call it. */
export function unzip(path: string, bytes: Uint8Array, wanted: readonly string[]): Unzipped {
  const names: string[] = [];
  try {
    const files = unzipSync(bytes, {
      filter: ({ name }) => {
        names.push(name);
        return wanted.includes(name);
      },
    });
    const checksums = checksumsIn(bytes, names.length);
    for (const [name, file] of Object.entries(files))
      if (crc32(file) !== checksums.get(name)) throw new Error(`${name} does not have its checksum`);
    return { files, names };
  } catch (cause) {
    throw invalidFile(path, `no readable .npz archive: ${String(cause)}`, "Save it again with numpy.savez.");
  }
}

/** The CRC-32 of each file, from the directory at the archive's end. */
function checksumsIn(bytes: Uint8Array, count: number): Map<string, number> {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const checksums = new Map<string, number>();
  // An archive that is read whole is too short for the larger form of this record.
  let at = view.readUInt32LE(view.lastIndexOf("PK\x05\x06", view.length - 22, "latin1") + 16);
  for (let entry = 0; entry < count; entry++) {
    const nameEnd = at + 46 + view.readUInt16LE(at + 28);
    const isUtf8 = (view.readUInt16LE(at + 8) & 0x800) !== 0;
    checksums.set(strFromU8(view.subarray(at + 46, nameEnd), !isUtf8), view.readUInt32LE(at + 16));
    at = nameEnd + view.readUInt16LE(at + 30) + view.readUInt16LE(at + 32);
  }
  return checksums;
}
