/**
 * The lines of a file that may be larger than memory, or than a string can be: read a chunk at a time, and whatever else the process
 * does goes on between two chunks.
 */
import { open } from "node:fs/promises";
import { reading } from "./disk.ts";

/** Some 400 lines of metrics.jsonl: to parse them takes about as long as a short step. */
const CHUNK_BYTES = 64 * 2 ** 10;
export const LINE_END = 0x0a;

export interface Line {
  /** Without its line end. */
  readonly text: string;
  /** Where in the file it begins, in bytes. */
  readonly at: number;
  /** Whether it has its line end; only the last line may lack it. */
  readonly isEnded: boolean;
}

/** Yields, oldest first, the lines that each chunk completes; none where there is no file. Throws DISK_FAILED. */
export async function* linesIn(
  path: string,
  chunkBytes = CHUNK_BYTES,
): AsyncGenerator<readonly Line[], void, undefined> {
  const file = await reading(path, () => open(path));
  if (file === undefined) return;
  try {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    /** The line that the chunks so far have begun. */
    let begun: Buffer[] = [];
    let at = 0;
    const complete = (rest: Buffer, isEnded: boolean): Line => {
      const bytes = begun.length === 0 ? rest : Buffer.concat([...begun, rest]);
      begun = [];
      const line = { text: bytes.toString("utf8"), at, isEnded };
      at += bytes.length + 1;
      return line;
    };
    for (;;) {
      const { bytesRead = 0 } = (await reading(path, () => file.read(chunk, 0, chunkBytes))) ?? {};
      if (bytesRead === 0) break;
      const lines: Line[] = [];
      let from = 0;
      for (let end = nextEnd(chunk, from, bytesRead); end !== undefined; end = nextEnd(chunk, from, bytesRead)) {
        lines.push(complete(chunk.subarray(from, end), true));
        from = end + 1;
      }
      // The chunk's memory is used again.
      if (from < bytesRead) begun.push(Buffer.from(chunk.subarray(from, bytesRead)));
      yield lines;
    }
    if (begun.length > 0) yield [complete(Buffer.alloc(0), false)];
  } finally {
    await file.close();
  }
}

/** Where the next line ends in the first `length` bytes of a chunk. */
function nextEnd(chunk: Buffer, from: number, length: number): number | undefined {
  const end = chunk.indexOf(LINE_END, from);
  return end === -1 || end >= length ? undefined : end;
}
