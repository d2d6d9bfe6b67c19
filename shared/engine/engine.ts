/**
 * What computes. An engine turns a program into something that runs on the calling thread, reads its inputs where they
 * lie and writes its outputs where they are wanted. test/contract/engine.test.ts is the contract as tests.
 */
import type { Port, Program } from "../graph/program.ts";
import { product } from "../shape.ts";

export type Inputs = Readonly<Record<string, Float32Array | Int32Array>>;
export type Outputs = Readonly<Record<string, Float32Array | Int32Array>>;

export interface Engine {
  /** Name and version, for people: tests say by it which engine failed them. */
  readonly name: string;
  prepare(program: Program): Promise<PreparedProgram>;
}

export interface PreparedProgram {
  /**
   * Runs once. Arrays may be views into a shared WebAssembly.Memory and have exactly the sizes of the program's ports;
   * every one starts on a 64-byte boundary of its buffer, because bits may depend on alignment. Throws RangeError else.
   */
  run(inputs: Inputs, outputs: Outputs): Promise<void>;
  /** Frees what the engine holds; `run` must not be under way. */
  close(): Promise<void>;
}

/** Where every array given to an engine starts, in bytes. */
export const alignment = 64;

/** The array for a port, or an error that names what is missing, of the wrong type, of the wrong size or unaligned. */
export function arrayFor(
  port: Port<readonly number[]>,
  given: Readonly<Record<string, Float32Array | Int32Array>>,
): Float32Array | Int32Array {
  const array = given[port.name];
  const entries = product(port.shape);
  const typed = port.dtype === "float32" ? array instanceof Float32Array : array instanceof Int32Array;
  if (array === undefined || !typed || array.length !== entries) {
    const found = array === undefined ? "nothing" : `${array.constructor.name} of ${array.length}`;
    throw new RangeError(
      `${port.name} wants ${port.dtype} [${port.shape.join(", ")}], ${entries} entries, but was given ${found}`,
    );
  }
  if (array.byteOffset % alignment !== 0) {
    throw new RangeError(
      `${port.name} starts at byte ${array.byteOffset} of its buffer, not on a ${alignment}-byte boundary`,
    );
  }
  return array;
}
