/** Every path that is measured, and how a vector shows which exchange it is of. */
import { sharedMemory } from "./shared-memory.ts";
import { tcpCopied, tcpInPlace } from "./tcp.ts";
import { websocket } from "./websocket.ts";
import type { WirePath } from "./path.ts";

export const paths = { tcpCopied, tcpInPlace, websocket, sharedMemory } as const satisfies Readonly<
  Record<string, WirePath>
>;

export type PathName = keyof typeof paths;

const placesIn = ({ length }: Uint8Array): number[] => [0, 4 * Math.floor(length / 8), length - 4];
const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView => new DataView(buffer, byteOffset, length);

/** Writes the exchange's number at the beginning, in the middle and at the end. */
export function stamp(bytes: Uint8Array, exchange: number): void {
  for (const place of placesIn(bytes)) viewOf(bytes).setUint32(place, exchange);
}

/** Throws unless the bytes are those of this exchange: nothing is fast that leaves something out. */
export function checkStamp(bytes: Uint8Array, exchange: number): void {
  for (const place of placesIn(bytes)) {
    const found = viewOf(bytes).getUint32(place);
    if (found !== exchange) throw new Error(`byte ${place} is of exchange ${found}, expected ${exchange}`);
  }
}
