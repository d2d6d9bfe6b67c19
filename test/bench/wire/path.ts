/**
 * What bytes can travel by between a parent process and its peers: each exchange, the parent's parameters go to every
 * peer, and every peer's gradients come back. One file for each path, with both of its ends.
 */
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { Packing, packingBytes } from "../../../shared/memory/packing.ts";
import { checkedVector } from "../../../shared/memory/vector.ts";
import type { CheckedVector } from "../../../shared/memory/vector.ts";

export interface WirePath {
  readonly name: string;
  /** In the parent, for vectors of so many bytes; undefined where this system has no such path. */
  open(bytes: number, peers: number): Promise<Parent | undefined>;
  /**
   * In a peer: connects to the parent, and every time its parameters are in place calls `onParameters` and then sends the
   * gradients. Resolves with the peer's own address, where the parent needs one.
   */
  join(address: string, bytes: number, onParameters: OnParameters): Promise<string>;
}

type OnParameters = (parameters: Uint8Array, gradients: Uint8Array) => void;

interface Parent {
  readonly parameters: Uint8Array;
  /** Where those of each peer are after an exchange. */
  readonly gradients: readonly Uint8Array[];
  /** Where each peer joins. */
  readonly addresses: readonly string[];
  /** A peer has joined from there. */
  add(address: string): Promise<void>;
  /** Sends the parameters and resolves once the gradients of all peers are in place. */
  exchange(): Promise<void>;
  close(): void;
}

/** Plain memory for a vector. */
export const allocate = (bytes: number): Uint8Array => allocateVector(bytes).bytes;

/** As above, with the checksums that Lockstep sends. */
export function allocateVector(bytes: number): CheckedVector {
  const arena = new Arena(packingBytes() + bytes);
  const kernels = instantiateKernels(arena.memory);
  return checkedVector(arena, kernels, new Packing(arena, kernels), arena.allocate(bytes), bytes);
}

/** Resolves when it was told so many times that something arrived. */
export class Arrivals {
  #missing = 0;
  #resolve = (): void => {};

  expect(count: number): Promise<void> {
    this.#missing = count;
    return new Promise((resolve) => (this.#resolve = resolve));
  }

  arrived(): void {
    this.#missing -= 1;
    if (this.#missing === 0) this.#resolve();
  }
}
