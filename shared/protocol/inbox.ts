/**
 * The frames of one connection as messages. A header is decoded and checked once, also where its section is long: then it is looked
 * at while that is still coming, to find out where it goes.
 */
import { LockstepError } from "../errors.ts";
import { decodeFrame } from "./codec.ts";
import type { Frame } from "./codec.ts";

export class Inbox<Message> {
  readonly #check: (header: unknown) => Message;
  #peeked: { readonly header: Buffer; readonly message: Message } | undefined;

  /** @param check throws PROTOCOL_VIOLATION if a header is not a message's */
  constructor(check: (header: unknown) => Message) {
    this.#check = check;
  }

  /** The message of a header whose section is about to come; undefined if it is none, which `read` says of the whole frame. */
  peek(header: Buffer): Message | undefined {
    try {
      const message = this.#check(decodeFrame([header]).header);
      this.#peeked = { header, message };
      return message;
    } catch (error) {
      if (error instanceof LockstepError) return undefined;
      throw error;
    }
  }

  /** A frame's message and section. Throws PROTOCOL_VIOLATION. */
  read(frame: Frame): { readonly message: Message; readonly section: Uint8Array } {
    const [header, section] = frame;
    const peeked = this.#peeked;
    this.#peeked = undefined;
    // A frame that was looked at may never have become whole.
    if (frame.length === 2 && peeked?.header.equals(header!) === true)
      return { message: peeked.message, section: section! };
    const decoded = decodeFrame(frame);
    return { message: this.#check(decoded.header), section: decoded.section };
  }
}
