/**
 * Follows the frames of a WebSocket connection as their bytes come, and gathers the payload of a long one in a buffer that is used
 * again and again, so that it is handed on in one piece: what reads chunks must allocate each of them and copy them together.
 * Only payloads that end a message are gathered: of the others somebody keeps what they are handed until the message is whole.
 * All other bytes are handed on as they come, and so is the HTTP response in front of a client's frames. Of frames it looks at
 * ends and lengths alone (RFC 6455, section 5.2); whether they are as they should be is the WebSocket's to say.
 */

/** Shorter payloads are handed on as they come; bytes between the long ones are read in chunks of this size. */
export const CHUNK_BYTES = 16_384;
const LONGEST_HEADER = 14;
const HEAD_END = Buffer.from("\r\n\r\n");
const SWITCHING_PROTOCOLS = "HTTP/1.1 101";

/** Bytes to hand on; those of a whole payload are to be used at once, before the next are read. */
export interface Piece {
  readonly bytes: Buffer;
  readonly isWholePayload: boolean;
}

export class FrameReader {
  #buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #longest = 0;
  /** The head of a response that is being read: how it begins, and how much of its end has come. Frames follow that of a 101. */
  #head: { begin: string; end: number } | undefined;
  readonly #header = Buffer.alloc(LONGEST_HEADER);
  #headerLength = 0;
  /** Bytes of a payload that are still to be handed on. */
  #left = 0;
  /** The payload that is gathered: its length, and how much of it is in the buffer. */
  #payload: { readonly length: number; gathered: number } | undefined;

  /** @param start what comes first */
  constructor(start: "http" | "frames") {
    this.#head = start === "http" ? { begin: "", end: 0 } : undefined;
  }

  /** From now on, payloads up to this length are gathered; until then, none is: strangers get no buffer beyond a chunk's. */
  gather(longest: number): void {
    this.#longest = longest;
  }

  /** Where the next bytes are to be written. */
  room(): Buffer {
    if (this.#payload === undefined) return this.#buffer.subarray(0, CHUNK_BYTES);
    return this.#buffer.subarray(this.#payload.gathered, this.#payload.length);
  }

  /** So many bytes were written there. */
  took(count: number): Piece | undefined {
    if (this.#payload !== undefined) return this.#gathered(this.#payload, count);
    const chunk = this.#buffer.subarray(0, count);
    for (let at = 0; at < count;) {
      if (this.#head !== undefined) this.#followHead(this.#head, chunk[at++]!);
      else if (this.#left > 0) {
        const passed = Math.min(this.#left, count - at);
        this.#left -= passed;
        at += passed;
      } else {
        this.#followHeader(chunk[at++]!);
        const endsMessage = (this.#header[0]! & 0x80) !== 0;
        if (endsMessage && this.#left > CHUNK_BYTES && this.#left <= this.#longest)
          return this.#beginGathering(chunk, at);
      }
    }
    return { bytes: Buffer.from(chunk), isWholePayload: false };
  }

  #followHead(head: { begin: string; end: number }, byte: number): void {
    if (head.begin.length < SWITCHING_PROTOCOLS.length) head.begin += String.fromCharCode(byte);
    if (byte === HEAD_END[head.end]) head.end += 1;
    else head.end = byte === HEAD_END[0] ? 1 : 0;
    if (head.end < HEAD_END.length) return;
    // Others come before it, such as a 100; what follows a refusal is no frames either.
    this.#head = head.begin === SWITCHING_PROTOCOLS ? undefined : { begin: "", end: 0 };
  }

  #followHeader(byte: number): void {
    this.#header[this.#headerLength++] = byte;
    if (this.#headerLength < 2) return;
    const second = this.#header[1]!;
    const code = second & 0x7f;
    const lengthBytes = code === 127 ? 8 : code === 126 ? 2 : 0;
    const maskBytes = (second & 0x80) === 0 ? 0 : 4;
    if (this.#headerLength < 2 + lengthBytes + maskBytes) return;
    this.#headerLength = 0;
    if (lengthBytes === 0) this.#left = code;
    else if (lengthBytes === 2) this.#left = this.#header.readUInt16BE(2);
    else this.#left = Number(this.#header.readBigUInt64BE(2));
  }

  /** The payload begins at `at`; what is before it is handed on. */
  #beginGathering(chunk: Buffer, at: number): Piece {
    const before = Buffer.from(chunk.subarray(0, at));
    if (this.#buffer.length < this.#left) this.#buffer = Buffer.allocUnsafeSlow(this.#longest);
    this.#buffer.set(chunk.subarray(at));
    this.#payload = { length: this.#left, gathered: chunk.length - at };
    this.#left = 0;
    return { bytes: before, isWholePayload: false };
  }

  #gathered(payload: { readonly length: number; gathered: number }, count: number): Piece | undefined {
    payload.gathered += count;
    if (payload.gathered < payload.length) return undefined;
    this.#payload = undefined;
    return { bytes: this.#buffer.subarray(0, payload.length), isWholePayload: true };
  }
}
