/**
 * A TCP connection for a WebSocket, from which long frames are read in one piece (frame-reader.ts): ws takes such a payload as it
 * is, where it would put chunks of 64 KiB together. A message's bytes are then valid until its listener returns. Node lets whoever
 * connects say where bytes are to be read to (`onread`), and a server not: there the connection's handle is moved to a socket
 * that was made for it. What belongs somewhere is read in large pieces (low-water.ts).
 */
import { Socket } from "node:net";
import type { SocketConstructorOpts, TcpNetConnectOpts } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { WebSocket } from "ws";
import type { Frame } from "./codec.ts";
import { FrameReader } from "./frame-reader.ts";
import type { FindRoom } from "./frame-reader.ts";
import { LowWater } from "./low-water.ts";

export class FrameSocket extends Socket {
  readonly #reader: FrameReader;
  readonly #lowWater = new LowWater(this);

  private constructor(options: SocketConstructorOpts, reader: FrameReader) {
    super({ ...options, onread: { buffer: () => reader.room(), callback: (count) => this.#took(count) } });
    this.#reader = reader;
    this.once("close", () => reader.leaveRoom());
  }

  /** Opens a connection that begins with a request for an upgrade, as `net.connect` does. */
  static connect({ host, port, timeout }: TcpNetConnectOpts): FrameSocket {
    const socket = new FrameSocket({}, new FrameReader("http"));
    if (timeout !== undefined) socket.setTimeout(timeout);
    return socket.connect({ port, ...(host === undefined ? {} : { host }) });
  }

  /**
   * Takes over a server's connection at its upgrade. TLS has buffers of its own and stays as it is.
   * @param head what was read behind the request; it is read again
   */
  static upgraded(socket: Duplex, head: Buffer): Duplex {
    const { _handle: handle } = socket as { _handle?: { reading: boolean; readStop(): void } | null };
    if (!(socket instanceof Socket) || socket instanceof TLSSocket || handle === undefined || handle === null) {
      if (head.length > 0) socket.unshift(head);
      return socket;
    }
    handle.readStop();
    handle.reading = false;
    const options = { handle, readable: true, writable: true } as object;
    const taken = new FrameSocket(options, new FrameReader("frames"));
    Object.assign(socket, { _handle: null });
    // An answer to an earlier request may still be written to what is left of it.
    socket.on("error", () => {});
    taken.once("close", () => socket.destroy());
    taken.#readAgain(head);
    return taken;
  }

  /** From now on payloads up to this length come in one piece, where they belong if that can be found. */
  gather(longest: number, findRoom?: FindRoom): void {
    // What waits in the stream for its reader is older than what has a room, and may belong to the same place.
    const whenRead: FindRoom = (header, length) => (this.#isReadAtOnce ? findRoom?.(header, length) : undefined);
    this.#reader.gather(longest, findRoom && whenRead);
  }

  get #isReadAtOnce(): boolean {
    return this.readableFlowing === true && this.readableLength === 0;
  }

  #readAgain(head: Buffer): void {
    for (let at = 0; at < head.length;) {
      const count = head.copy(this.#reader.room(), 0, at);
      this.#took(count);
      at += count;
    }
  }

  #took(count: number): boolean {
    this.emit("bytes");
    const piece = this.#reader.took(count);
    this.#lowWater.want(this.#reader.missing);
    if (piece === undefined) return true;
    // Whoever doesn't read at this moment finds a copy later.
    const goesOn = this.push(piece.isWholePayload && !this.#isReadAtOnce ? Buffer.from(piece.bytes) : piece.bytes);
    if (piece.isWholePayload) this.#reader.leaveRoom();
    return goesOn;
  }
}

/**
 * Has payloads up to this length come in one piece, and where they belong if that can be found, where the connection can; from the
 * other side nothing is expected yet.
 */
export function gatherFrames(wire: Duplex, longest: number, findRoom?: FindRoom): void {
  if (wire instanceof FrameSocket) wire.gather(longest, findRoom);
}

/** Says that bytes have come, also of a frame that is not whole yet. */
export function onBytes(wire: Duplex, listener: () => void): void {
  wire.on(wire instanceof FrameSocket ? "bytes" : "data", listener);
}

/** Sends the fragments of one message, in one write where they fit. */
export function sendFrame(socket: WebSocket, wire: Duplex, frame: Frame, flushed: () => void): void {
  wire.cork();
  for (const [index, fragment] of frame.entries()) {
    const fin = index === frame.length - 1;
    socket.send(fragment, { binary: true, fin }, fin ? flushed : undefined);
  }
  wire.uncork();
}
