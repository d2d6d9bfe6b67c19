/**
 * Text of data files, which is UTF-8. In another encoding, such as Latin-1, letters beyond ASCII are bytes that would all be read as
 * one character, and categories that differ in them would be one: such a file is refused.
 */
import { createReadStream } from "node:fs";
import { invalidFile } from "./files.ts";
import { LockstepError } from "../errors.ts";

const NEWLINE = 0x0a;

/** A text whole. Throws DATA_INVALID, naming the line. */
export async function textOf(path: string, bytes: Uint8Array): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw notUtf8(path, await lineOfFault([bytes]));
  }
}

/** A file's text in pieces, with the byte order mark where it has one. Throws DATA_INVALID, naming the line, or the system's error. */
export async function* piecesOfText(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const decoded = async (bytes?: Buffer): Promise<string> => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      throw notUtf8(path, await lineOfFault(createReadStream(path)));
    }
  };
  for await (const bytes of createReadStream(path) as AsyncIterable<Buffer>) yield await decoded(bytes);
  yield await decoded();
}

const notUtf8 = (path: string, line: number): LockstepError =>
  invalidFile(
    `${path}:${line}`,
    "the text is not UTF-8",
    "Save the file again as UTF-8 (of a spreadsheet: CSV UTF-8).",
  );

/** In which line the first bytes are that no character has; read again for it, so that texts that are well cost no counting. */
async function lineOfFault(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<number> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 1;
  for await (const bytes of chunks)
    for (let begin = 0, end = 0; begin < bytes.length; begin = end) {
      const newline = bytes.indexOf(NEWLINE, begin);
      end = newline < 0 ? bytes.length : newline + 1;
      try {
        decoder.decode(bytes.subarray(begin, end), { stream: true });
      } catch {
        return line;
      }
      if (newline >= 0) line += 1;
    }
  return line;
}
