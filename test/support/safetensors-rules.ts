/**
 * The rules of the safetensors format, checked byte by byte and written from its description alone: nothing of Lockstep's own
 * reader is used. https://github.com/huggingface/safetensors, section "Format".
 */

import { z } from "zod";

const count = z.int().nonnegative();
/** "A special key __metadata__ is allowed to contain free form string-to-string map." Every other key is a tensor. */
const headerRules = z
  .object({ __metadata__: z.record(z.string(), z.string()).default({}) })
  .catchall(z.strictObject({ dtype: z.literal("F32"), shape: z.array(count), data_offsets: z.tuple([count, count]) }));

/** What a file holds, by tensor name; throws an Error that says which rule is broken. */
export function readByRules(file: Uint8Array): {
  tensors: Record<string, { dtype: string; shape: number[]; bytes: Uint8Array }>;
  metadata: Record<string, string>;
} {
  const rule = (holds: boolean, broken: string): void => {
    if (!holds) throw new Error(`safetensors: ${broken}`);
  };
  // "8 bytes: N, an unsigned little-endian 64-bit integer, containing the size of the header"
  let size = 0;
  for (let byte = 7; byte >= 0; byte--) size = size * 256 + file[byte]!;
  rule(8 + size <= file.length, "the header is inside the file");
  // "N bytes: a JSON UTF-8 string representing the header. The header data MUST begin with a { character (0x7B).
  //  The header data MAY be trailing padded with whitespace (0x20)."
  const header = file.subarray(8, 8 + size);
  rule(header[0] === 0x7b, "the header begins with {");
  const text = new TextDecoder("utf-8", { fatal: true }).decode(header);
  rule(/^\{.*\} *$/s.test(text), "behind the header's last } there is only 0x20");
  const { __metadata__: metadata, ...described } = headerRules.parse(JSON.parse(text));
  // "Rest of the file: byte-buffer." "The byte buffer needs to be entirely indexed, and cannot contain holes."
  const buffer = file.subarray(8 + size);
  const owners = new Uint8Array(buffer.length);
  const tensors: Record<string, { dtype: string; shape: number[]; bytes: Uint8Array }> = {};
  for (const [name, entry] of Object.entries(described)) {
    const { dtype, shape, data_offsets: offsets } = entry;
    const [begin, end] = offsets;
    rule(0 <= begin && begin <= end && end <= buffer.length, `${name} lies in the buffer`);
    rule(
      dtype === "F32" && end - begin === 4 * shape.reduce((a, b) => a * b, 1),
      `${name} has as many bytes as its shape says`,
    );
    for (let at = begin; at < end; at++) owners[at]!++;
    tensors[name] = { dtype, shape, bytes: buffer.subarray(begin, end) };
  }
  rule(
    owners.every((count) => count === 1),
    "every byte of the buffer belongs to one tensor",
  );
  return { tensors, metadata };
}
