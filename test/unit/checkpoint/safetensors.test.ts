import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeSafetensors,
  encodeSafetensors,
  type SafetensorsContent,
} from "../../../shared/checkpoint/safetensors.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { product } from "../../../shared/shape.ts";
import { failureOf, refusalIfAny } from "../../support/errors.ts";
import { readByRules } from "../../support/safetensors-rules.ts";

const example: SafetensorsContent = {
  metadata: { format: "pt", 'key "quoted": {': "a: b, ü" },
  tensors: [
    { name: "0.weight", shape: [2, 3], values: Float32Array.of(1, -2, 3.5, 0, -0, 1e-45) },
    { name: "7", shape: [], values: Float32Array.of(Infinity) },
    { name: "empty", shape: [0, 4], values: new Float32Array() },
    { name: "0.bias", shape: [2], values: Float32Array.of(5, 6) },
  ],
};

/** A file with this header text, its length in front and `data` bytes behind. */
function fileOf(header: string, data: number): Uint8Array {
  const text = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + text.length + data);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  return file;
}

const entry = (begin: number, end: number, shape = `[${(end - begin) / 4}]`): string =>
  `{"dtype":"F32","shape":${shape},"data_offsets":[${begin},${end}]}`;

describe("encoding", () => {
  it("follows the format's rules", () => {
    const file = encodeSafetensors(example);
    const { tensors, metadata } = readByRules(file);
    expect(metadata).toEqual(example.metadata);
    expect(Object.keys(tensors).sort()).toEqual(["0.bias", "0.weight", "7", "empty"]);
    for (const { name, shape, values } of example.tensors) {
      const { bytes, ...described } = tensors[name]!;
      expect(described).toEqual({ dtype: "F32", shape });
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      values.forEach((value, index) => expect(view.getFloat32(4 * index, true)).toBe(value));
    }
  });

  it("writes exactly these bytes for a known tensor", () => {
    const file = encodeSafetensors({
      metadata: { a: "b" },
      tensors: [{ name: "x", shape: [1, 2], values: Float32Array.of(1, -2) }],
    });
    const header = '{"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}       ';
    expect(header.length % 8).toBe(0);
    expect(Buffer.from(file).toString("latin1")).toBe(
      `${String.fromCharCode(header.length)}\0\0\0\0\0\0\0${header}\0\0\x80\x3f\0\0\0\xc0`,
    );
  });

  it("starts the data at a multiple of 8 for every length of the header", () => {
    for (let length = 0; length < 16; length++) {
      const file = encodeSafetensors({ ...example, metadata: { a: "x".repeat(length) } });
      expect(Number(new DataView(file.buffer).getBigUint64(0, true)) % 8).toBe(0);
      expect(() => readByRules(file)).not.toThrow();
    }
  });

  it("refuses two tensors of one name, and values that are not the shape's", () => {
    const tensor = { name: "x", shape: [2], values: new Float32Array(2) };
    expect(() => encodeSafetensors({ metadata: {}, tensors: [tensor, tensor] })).toThrow("two tensors are named x");
    expect(() => encodeSafetensors({ metadata: {}, tensors: [{ ...tensor, shape: [3] }] })).toThrow(
      "x [3] has 2 values",
    );
  });
});

describe("decoding", () => {
  it("gives back what was encoded, in the order of the bytes, wherever the file lies in memory", () => {
    const file = encodeSafetensors(example);
    for (let offset = 0; offset < 8; offset++) {
      const moved = new Uint8Array(file.length + offset).subarray(offset);
      moved.set(file);
      expect(decodeSafetensors(moved, "f")).toEqual(example);
    }
  });

  it("gives back anything that can be encoded", () => {
    const tensors = fc.uniqueArray(
      fc.record({ name: fc.string({ unit: "binary" }), shape: fc.array(fc.nat(4), { maxLength: 4 }) }),
      { selector: ({ name }) => name, maxLength: 6 },
    );
    const metadata = fc.dictionary(fc.string(), fc.string());
    fc.assert(
      fc.property(tensors, metadata, fc.infiniteStream(fc.float({ noNaN: true })), (named, notes, numbers) => {
        fc.pre(named.every(({ name }) => name !== "__metadata__" && name.isWellFormed()));
        const content = {
          metadata: { ...notes },
          tensors: named.map(({ name, shape }) => ({
            name,
            shape,
            values: Float32Array.from(numbers.take(product(shape))),
          })),
        };
        const decoded = decodeSafetensors(encodeSafetensors(content), "f");
        expect(decoded.metadata).toEqual(content.metadata);
        // Tensors without bytes have no place in the order of the bytes.
        const sorted = (list: SafetensorsContent["tensors"]): unknown =>
          list.toSorted((a, b) => (a.name < b.name ? -1 : 1));
        expect(sorted(decoded.tensors)).toEqual(sorted(content.tensors));
      }),
      { numRuns: 200 },
    );
  });

  it("accepts tensors named in another order than their bytes, no metadata, and white space", () => {
    const file = fileOf(`{ "b" : ${entry(4, 8)},\n "a": ${entry(0, 4)} }   `, 8);
    expect(decodeSafetensors(file, "f").tensors.map(({ name }) => name)).toEqual(["a", "b"]);
    // One without values lies where the next begins.
    const empty = fileOf(`{"b":${entry(4, 8)},"none":${entry(4, 4)},"a":${entry(0, 4)}}`, 8);
    expect(decodeSafetensors(empty, "f").tensors.map(({ name }) => name)).toEqual(["a", "none", "b"]);
  });

  it("refuses a file cut short at every length", () => {
    const file = encodeSafetensors(example);
    for (let length = 0; length < file.length; length++)
      expect(() => decodeSafetensors(file.subarray(0, length), "f")).toThrow(LockstepError);
  });

  it.each<[what: string, file: Uint8Array, message: string]>([
    ["fewer than 8 bytes", new Uint8Array(7), "expected at least 8 bytes, found 7"],
    ["a header beyond the file", fileOf("{} ", 0).subarray(0, 10), "the header needs 3 bytes, found 2"],
    [
      "a header beyond the limit",
      Uint8Array.of(1, 225, 245, 5, 0, 0, 0, 0),
      "a header of 100000001 bytes is longer than the limit of 100000000",
    ],
    ["a header of 2^64 - 1 bytes", new Uint8Array(20).fill(255), "a header of 18446744073709551615 bytes"],
    ["an empty header", fileOf("", 4), "the header does not start with {"],
    ["a header that starts with a blank", fileOf(" {}", 0), "the header does not start with {"],
    ["a header that is no object", fileOf("[]", 0), "the header does not start with {"],
    ["a header that is no JSON", fileOf('{"a":}', 0), "the header is no JSON: SyntaxError"],
    ["a header with text behind it", fileOf("{}x", 0), "the header is no JSON: SyntaxError"],
    ["a header that is no UTF-8", fileOf('{"a":1}', 0).with(10, 0xff), "the header is no UTF-8 text"],
    ["a name twice", fileOf(`{"a":${entry(0, 4)},"a":${entry(0, 4)}}`, 4), "the header has the same key twice"],
    [
      "a field twice",
      fileOf(`{"a":${entry(0, 4).replace("{", '{"dtype":"F32",')}}`, 4),
      "the header has the same key twice",
    ],
    ["a metadata key twice", fileOf('{"__metadata__":{"a":"1","a":"2"}}', 0), "the header has the same key twice"],
    ["a tensor that is a list", fileOf('{"a":[]}', 0), "tensor a is no JSON object"],
    ["a tensor that is a number", fileOf('{"a":1}', 0), "tensor a is no JSON object"],
    ["a tensor that is nothing", fileOf('{"a":null}', 0), "tensor a is no JSON object"],
    ["a tensor without fields", fileOf('{"a":{}}', 0), "tensor a has the type undefined"],
    ["an unknown field", fileOf(`{"a":${entry(0, 4).replace("{", '{"x":1,')}}`, 4), "tensor a has the unknown field x"],
    [
      "another type",
      fileOf(`{"a":${entry(0, 4).replace("F32", "F16")}}`, 4),
      'tensor a has the type "F16", expected "F32"',
    ],
    [
      "a list of types",
      fileOf(`{"a":${entry(0, 4).replace('"F32"', '["F32"]')}}`, 4),
      'tensor a has the type ["F32"], expected "F32"',
    ],
    [
      "a type that is none of the format's",
      fileOf(`{"a":${entry(0, 4).replace("F32", "toString")}}`, 4),
      'tensor a has the type "toString", expected "F32"',
    ],
    ["a negative length", fileOf(`{"a":${entry(0, 4, "[-1,-1]")}}`, 4), "tensor a has the shape [-1,-1]"],
    ["half a length", fileOf(`{"a":${entry(0, 4, "[0.5,2]")}}`, 4), "tensor a has the shape [0.5,2]"],
    ["a length that is no number", fileOf(`{"a":${entry(0, 4, '["1"]')}}`, 4), 'tensor a has the shape ["1"]'],
    ["a shape that is no list", fileOf(`{"a":${entry(0, 4, "1")}}`, 4), "tensor a has the shape 1"],
    [
      "a shape larger than any file",
      fileOf(`{"a":${entry(0, 4, "[4294967296,4294967296,4294967296]")}}`, 4),
      "has the offsets 0 to 4",
    ],
    ["a shape of another size", fileOf(`{"a":${entry(0, 4, "[2]")}}`, 4), "tensor a [2] has the offsets 0 to 4"],
    ["one offset", fileOf('{"a":{"dtype":"F32","shape":[],"data_offsets":[4]}}', 4), "tensor a has the offsets [4]"],
    [
      "three offsets",
      fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}', 4),
      "tensor a has the offsets [0,4,4]",
    ],
    [
      "offsets the wrong way round",
      fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', 4),
      "has the offsets 4 to 0",
    ],
    [
      "a negative offset",
      fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}', 4),
      "tensor a has the offsets [-4,0]",
    ],
    ["a hole at the start", fileOf(`{"a":${entry(4, 8)}}`, 8), "tensor a starts at byte 4 of the data, expected 0"],
    [
      "a hole in the middle",
      fileOf(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12),
      "tensor b starts at byte 8 of the data, expected 4",
    ],
    ["a hole at the end", fileOf(`{"a":${entry(0, 4)}}`, 5), "the tensors need 4 bytes, found 5"],
    [
      "tensors that overlap",
      fileOf(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12),
      "tensor b starts at byte 4 of the data, expected 8",
    ],
    [
      "two tensors in one place",
      fileOf(`{"a":${entry(0, 4)},"b":${entry(0, 4)}}`, 4),
      "tensor b starts at byte 0 of the data, expected 4",
    ],
    ["a tensor beyond the file", fileOf(`{"a":${entry(0, 8)}}`, 4), "the tensors need 8 bytes, found 4"],
    [
      "brackets in brackets",
      fileOf(`{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`, 0),
      "the header is nested more than 8 deep",
    ],
    [
      "as many brackets as there may be",
      fileOf(`{"a":${"[".repeat(7)}${"]".repeat(7)}}`, 0),
      "tensor a is no JSON object",
    ],
    ["a bracket more", fileOf(`{"a":${"[".repeat(8)}${"]".repeat(8)}}`, 0), "the header is nested more than 8 deep"],
    ["metadata that is no text", fileOf('{"__metadata__":{"a":1}}', 0), "__metadata__ is no map of texts"],
    ["metadata that is a list", fileOf('{"__metadata__":["a"]}', 0), "__metadata__ is no map of texts"],
  ])("refuses %s", async (_, file, message) => {
    const error = await failureOf(() => decodeSafetensors(file, "some/file.safetensors"));
    expect(error.code).toBe("CHECKPOINT_DAMAGED");
    expect(error.message).toContain(`some/file.safetensors is damaged: `);
    expect(error.message).toContain(message);
  });

  it("takes texts of any length, with colons, quotes and backslashes", () => {
    for (const value of ["x".repeat(20_000_000), String.raw`a":"b\" : \\`, "\\"]) {
      const content = { tensors: [], metadata: { key: value } };
      expect(decodeSafetensors(encodeSafetensors(content), "f").metadata["key"] === value).toBe(true);
    }
  });

  it("reads any bytes at all or fails with a LockstepError", () => {
    const headers = fc.oneof(
      fc.json(),
      fc.string().map((text) => `{"a":${text}}`),
      fc.json().map((json) => `{"a":${json}}`),
      fc.constant(`{"a":${entry(0, 4)}}`),
    );
    let refused = 0;
    let taken = 0;
    fc.assert(
      fc.property(headers, fc.nat(16), (header, data) => {
        if (refusalIfAny(() => decodeSafetensors(fileOf(header, data), "f")) === undefined) taken += 1;
        else refused += 1;
      }),
      { numRuns: 500, seed: 7 },
    );
    expect(refused).toBeGreaterThan(100);
    expect(taken).toBeGreaterThan(3);
  });
});
