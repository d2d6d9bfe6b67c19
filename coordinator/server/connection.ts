/**
 * One worker's WebSocket connection, as the runtime has it. What it may cost is bounded: a stranger by a few kilobytes, everyone by
 * the length of a frame and by what they leave unread.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { everySecond } from "../../shared/clock.ts";
import { segmentFrameLimit } from "../../shared/protocol/codec.ts";
import type { Frame } from "../../shared/protocol/codec.ts";
import type { FindRoom, Room } from "../../shared/protocol/frame-reader.ts";
import { gatherFrames, onBytes, sendFrame } from "../../shared/protocol/frame-socket.ts";
import type { JoinToken } from "../../shared/protocol/handshake.ts";
import { decodeLoad } from "../../shared/protocol/load.ts";
import type { Load } from "../../shared/protocol/load.ts";
import { LONG_SEGMENT_BYTES } from "../../shared/protocol/messages.ts";
import { Outbox } from "../../shared/protocol/outbox.ts";
import type { Visit } from "./gate.ts";

export interface Connection {
  readonly outbox: Outbox;
  /** What whoever is at the other end must prove to know. */
  readonly token: JoinToken;
  /**
   * Whether it comes from an address of this host; it may still have been forwarded from another. Nothing is packed then: that takes
   * longer than sending it as it is.
   */
  readonly isLocal: boolean;
  /** Whether none but the workers that the run starts itself know that token. */
  readonly isOwn: boolean;
  /** It has; from now on it may send more than a stranger. */
  proven(): void;
  /** What is known of the connection. */
  link(): Link;
  /** Asks for a sign of life, which tells the round trip and how busy the other side is. */
  ping(): void;
  /** Cuts it at once. */
  cut(reason: string): void;
  /** Closes in good order once what was sent is out, and by force if the other side does not answer. */
  close(): void;
}

export interface Link {
  readonly address: string;
  /** Over the socket, since it was opened. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Milliseconds from the last ping to its answer. */
  readonly roundTrip: number | undefined;
  /** As the worker says in its answers: CPU seconds of its process so far, and when that was, in milliseconds; bytes of memory. */
  readonly load: (Load & { readonly at: number }) | undefined;
}

export interface ConnectionHandlers {
  onFrame(frame: Frame): void;
  /** A frame's header has come, and its section is about to: where that may be put as it comes. Not asked where sections are packed. */
  roomFor?(header: Buffer, length: number): Room | undefined;
  /** Bytes have come, of a frame that may take long on a slow link. Said once a second at most. */
  onBytes(): void;
  onClose(reason: string): void;
}

/** All that a stranger may send; a hello is less than 1,000 bytes. */
const STRANGER_BYTES = 16_384;
/** Bulk frames wait in the outbox; more than this in the socket's own buffer means that the other side doesn't read. */
const MOST_UNREAD = 8 * LONG_SEGMENT_BYTES;

/** What matters of the port that it came to. */
export interface Entrance {
  readonly token: JoinToken;
  /** Bytes of the model's largest partial: nobody may send frames that are longer than its segments. */
  readonly partialBytes: number;
  /** Whether it is for the workers that the run starts itself (false): nobody else knows the token. */
  readonly isOwn?: boolean;
}

/** Takes over what ws has opened; `onConnection` says who hears of what comes. */
export function accept(
  socket: WebSocket,
  wire: Duplex,
  visit: Visit,
  { token, partialBytes, isOwn = false }: Entrance,
  onConnection: (connection: Connection) => ConnectionHandlers,
): void {
  socket.binaryType = "fragments";
  let reason = "the connection was lost";
  const cut = (why: string): void => {
    reason = why;
    socket.terminate();
  };
  let bytes = 0;
  const countStranger = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes > STRANGER_BYTES) cut(`it sent ${bytes} bytes before it proved that it may join`);
  };
  // Before ws looks at them.
  wire.prependListener("data", countStranger);
  onBytes(
    wire,
    everySecond(() => handlers.onBytes()),
  );
  const outbox = new Outbox((frame, flushed) => {
    // On a socket that is going down there is nobody to send to; its close event says so.
    if (socket.readyState !== socket.OPEN) return;
    sendFrame(socket, wire, frame, flushed);
    if (socket.bufferedAmount > MOST_UNREAD) cut(`it left ${socket.bufferedAmount} bytes unread`);
  });
  const { remoteAddress, localAddress } = wire as Partial<Socket>;
  const isLocal = remoteAddress !== undefined && remoteAddress === localAddress;
  const proven = (): void => {
    wire.off("data", countStranger);
    const findRoom: FindRoom = (header, length) => handlers.roomFor?.(header, length);
    gatherFrames(wire, segmentFrameLimit(partialBytes, !isLocal), isLocal ? findRoom : undefined);
    visit.proven();
  };
  const measured = { pingedAt: 0, roundTrip: undefined as number | undefined, load: undefined as Link["load"] };
  const link = (): Link => ({
    address: remoteAddress ?? "",
    bytesSent: (wire as Partial<Socket>).bytesWritten ?? 0,
    bytesReceived: (wire as Partial<Socket>).bytesRead ?? 0,
    roundTrip: measured.roundTrip,
    load: measured.load,
  });
  const ping = (): void => {
    if (socket.readyState !== socket.OPEN) return;
    measured.pingedAt = performance.now();
    socket.ping();
  };
  socket.on("pong", (answer: Buffer) => {
    const at = performance.now();
    measured.roundTrip = at - measured.pingedAt;
    const load = decodeLoad(answer);
    measured.load = load && { ...load, at };
  });
  const handlers = onConnection({
    outbox,
    token,
    isLocal,
    isOwn,
    proven,
    link,
    ping,
    cut,
    close: () => socket.close(),
  });
  socket.on("message", (data, isBinary) => {
    // What was still on the way when it was cut off changes nothing.
    if (socket.readyState !== socket.OPEN) return;
    if (isBinary) handlers.onFrame(data as Buffer[]);
    else cut("it sent text, where frames are binary");
  });
  // What ws objects to (a frame too long, broken UTF-8) ends the connection; the close event follows.
  socket.on("error", (error) => {
    reason = error.message;
  });
  socket.on("close", () => {
    outbox.close();
    handlers.onClose(reason);
  });
}
