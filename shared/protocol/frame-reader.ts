/**
 * Follows the frames of a WebSocket connection as their bytes come, and gathers the payload of a long one, so that it is handed on in
 * one piece: what reads chunks must allocate each of them and copy them together. It is gathered where it belongs, if the fragment in
 * front of it tells, or in a buffer that is used again and again.
 * Only payloads that end a message are gathered: of the others somebody keeps what they are handed until the message is whole.
 * All other bytes are handed on as they come, and so is the HTTP response in front of a client's frames. Of frames it looks at
 * ends and lengths alone (RFC 6455, section 5.2); whether they are as they should be is the WebSocket's to say.
 */

/** Shorter payloads are handed on as they come; bytes between the long ones are read in chunks of this size. */
export const CHUNK_BYTES = 16_384;
const LONGEST_HEADER = 14;
const CONTINUATION = 0;
const FIRST_CONTROL = 8;
/** Longer fragments in front of a payload are not kept to find its room. */
const LONGEST_FRONT = 65_536;
const HEAD_END = Buffer.from("\r\n\r\n");
const SWITCHING_PROTOCOLS = "HTTP/1.1 101";

/** Where a payload belongs. */
export interface Place {
  readonly bytes: Uint8Array;
  /** Its first so many bytes are there. */
  readonly came: (count: number) => void;
}

/** It is nobody else's while the payload comes. */
export interface Room extends Place {
  /** Nothing more is written there. */
  readonly over: () => void;
}

/** Finds the room for a payload of so many bytes, as many as that has, by the fragment in front of it in its message. */
export type FindRoom = (header: Buffer, length: number) => Room | undefined;

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
  #findRoom: FindRoom | undefined;
  /** The fragment that began the message, and whether the bytes left are its; undefined: it tells of no payload's room. */
  #front: Buffer[] | undefined;
  #readsFront = false;
  /** The payload that is gathered: where, its length, and how much of it is there. */
  #payload: { readonly into: Buffer; readonly length: number; gathered: number } | undefined;
  #room: Room | undefined;

  /** @param start what comes first */
  constructor(start: "http" | "frames") {
    this.#head = start === "http" ? { begin: "", end: 0 } : undefined;
  }

  /** From now on, payloads up to this length are gathered; until then, none is: strangers get no buffer beyond a chunk's. */
  gather(longest: number, findRoom?: FindRoom): void {
    this.#longest = longest;
    this.#findRoom = findRoom;
  }

  /** What was handed on is used, or nothing more will be read: where a payload belonged nothing more is written. */
  leaveRoom(): void {
    this.#room?.over();
    this.#room = undefined;
  }

  /** Where the next bytes are to be written. */
  room(): Buffer {
    if (this.#payload === undefined) return this.#buffer.subarray(0, CHUNK_BYTES);
    return this.#payload.into.subarray(this.#payload.gathered, this.#payload.length);
  }

  /** How many bytes are still to come to where a payload belongs; 0: none has such a place. */
  get missing(): number {
    return this.#payload === undefined || this.#room === undefined ? 0 : this.#payload.length - this.#payload.gathered;
  }

  /** So many bytes were written there. */
  took(count: number): Piece | undefined {
    if (this.#payload !== undefined) {
      this.#payload.gathered += count;
      this.#room?.came(this.#payload.gathered);
      return this.#gathered(this.#payload);
    }
    const chunk = this.#buffer.subarray(0, count);
    for (let at = 0; at < count;) {
      if (this.#head !== undefined) this.#followHead(this.#head, chunk[at++]!);
      else if (this.#left > 0) {
        const passed = Math.min(this.#left, count - at);
        if (this.#readsFront) this.#front!.push(Buffer.from(chunk.subarray(at, at + passed)));
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
    const mask = this.#header.subarray(2 + lengthBytes, 2 + lengthBytes + maskBytes);
    this.#followMessage(mask.every((byte) => byte === 0));
  }

  /** A frame begins. @param isPlain whether its payload is as it was before it was masked */
  #followMessage(isPlain: boolean): void {
    const first = this.#header[0]!;
    const opcode = first & 0x0f;
    this.#readsFront = false;
    // Control frames come between those of a message.
    if (opcode >= FIRST_CONTROL || (opcode === CONTINUATION && isPlain)) return;
    const isFront = opcode !== CONTINUATION && (first & 0x80) === 0;
    this.#readsFront = isFront && isPlain && this.#findRoom !== undefined && this.#left <= LONGEST_FRONT;
    this.#front = this.#readsFront ? [] : undefined;
  }

  /** The payload begins at `at`; what is before it is handed on. */
  #beginGathering(chunk: Buffer, at: number): Piece {
    const before = Buffer.from(chunk.subarray(0, at));
    const length = this.#left;
    this.#left = 0;
    this.#room = this.#front && this.#findRoom?.(Buffer.concat(this.#front), length);
    this.#front = undefined;
    const into = this.#room === undefined ? this.#bufferOf(length) : bufferOver(this.#room.bytes);
    into.set(chunk.subarray(at));
    this.#payload = { into, length, gathered: chunk.length - at };
    return { bytes: before, isWholePayload: false };
  }

  #bufferOf(length: number): Buffer {
    if (this.#buffer.length < length) this.#buffer = Buffer.allocUnsafeSlow(this.#longest);
    return this.#buffer;
  }

  #gathered({ into, length, gathered }: { into: Buffer; length: number; gathered: number }): Piece | undefined {
    if (gathered < length) return undefined;
    this.#payload = undefined;
    return { bytes: into.subarray(0, length), isWholePayload: true };
  }
}

const bufferOver = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length);
