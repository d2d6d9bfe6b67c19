/**
 * How busy a worker is, said in the pong to a coordinator's ping: so it is measured only while somebody watches, and costs no
 * message of its own. Sixteen bytes, two little-endian doubles.
 */

export interface Load {
  /** Processor time of the worker's process since it was started. */
  readonly cpuSeconds: number;
  /** Memory that is in use, as the system counts it. */
  readonly residentBytes: number;
}

const LOAD_BYTES = 16;

export function encodeLoad({ cpuSeconds, residentBytes }: Load): Buffer {
  const bytes = Buffer.alloc(LOAD_BYTES);
  bytes.writeDoubleLE(cpuSeconds, 0);
  bytes.writeDoubleLE(residentBytes, 8);
  return bytes;
}

/** Undefined where the bytes are no load: an answer may be another program's. */
export function decodeLoad(bytes: Buffer): Load | undefined {
  if (bytes.length !== LOAD_BYTES) return undefined;
  const [cpuSeconds, residentBytes] = [bytes.readDoubleLE(0), bytes.readDoubleLE(8)];
  const isPossible = (value: number): boolean => value >= 0 && Number.isFinite(value);
  return isPossible(cpuSeconds) && isPossible(residentBytes) ? { cpuSeconds, residentBytes } : undefined;
}
