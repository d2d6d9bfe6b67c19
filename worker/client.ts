/** The worker's edge to the network: one WebSocket to the coordinator, frames in and out. */
import type { createConnection, TcpNetConnectOpts } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import { everySecond } from "../shared/clock.ts";
import { COORDINATOR_FRAME_LIMIT, MOST_FRAGMENTS, segmentFrameLimit } from "../shared/protocol/codec.ts";
import type { Frame } from "../shared/protocol/codec.ts";
import type { FindRoom, Room } from "../shared/protocol/frame-reader.ts";
import { FrameSocket, gatherFrames, onBytes, sendFrame } from "../shared/protocol/frame-socket.ts";
import { encodeLoad } from "../shared/protocol/load.ts";
import { Outbox } from "../shared/protocol/outbox.ts";
import type { LockstepError } from "../shared/errors.ts";
import type { TlsMaterial } from "../shared/tls.ts";
import { describe, untrusted } from "../shared/no-connection.ts";
import { describeAnswer } from "./describe.ts";

export interface ClientListener {
  onOpen(): void;
  /** The connection was refused for a reason that waiting doesn't cure; said instead of `onClose`. */
  onUnusable(error: LockstepError): void;
  onFrame(frame: Frame): void;
  /** A frame's header has come, and its section is about to: where that may be put as it comes. */
  roomFor?(header: Buffer, length: number): Room | undefined;
  /** Bytes have come, of a frame that may take long on a slow link. Said once a second at most. */
  onBytes(): void;
  /** Said once for every client, also when it never opened. */
  onClose(reason: string): void;
}

export interface Client {
  readonly outbox: Outbox;
  /** Closes in good order once what was sent is out; `onClose` follows. */
  close(): void;
  /** Cuts the connection at once; `onClose` follows. */
  terminate(): void;
}

/** Opens a connection. Errors arrive as `onClose` with their reason, or as `onUnusable`. */
export function connect(address: URL, tls: TlsMaterial, listener: ClientListener): Client {
  let reason = "";
  let unusable: LockstepError | undefined;
  const socket = new WebSocket(address, {
    perMessageDeflate: false,
    maxPayload: COORDINATOR_FRAME_LIMIT,
    maxFragments: MOST_FRAGMENTS,
    handshakeTimeout: 5_000,
    autoPong: false,
    ...tls,
    ...(address.protocol === "ws:" ? { createConnection: openFrameSocket as typeof createConnection } : {}),
    // Masking protects proxies from browsers; on loopback and under TLS no proxy reads the bytes, and zero masks skip the XOR.
    ...(isPrivate(address) ? { generateMask: (mask: Buffer) => void mask.fill(0) } : {}),
  });
  socket.binaryType = "fragments";
  let wire: Duplex | undefined;
  // Not before ws listens too: bytes that came with the answer to the upgrade would go to this listener alone.
  socket.on("upgrade", (response) =>
    socket.once("open", () => {
      wire = response.socket;
      const findRoom: FindRoom = (header, length) => listener.roomFor?.(header, length);
      gatherFrames(wire, segmentFrameLimit(Number.POSITIVE_INFINITY, false), findRoom);
      onBytes(
        wire,
        everySecond(() => listener.onBytes()),
      );
      listener.onOpen();
    }),
  );
  socket.on("ping", () => {
    const { user, system } = process.cpuUsage();
    socket.pong(encodeLoad({ cpuSeconds: (user + system) / 1e6, residentBytes: process.memoryUsage.rss() }));
  });
  socket.on("message", (data, isBinary) => {
    if (isBinary) {
      listener.onFrame(data as Buffer[]);
      return;
    }
    reason = "the coordinator sent text, where frames are binary";
    socket.terminate();
  });
  socket.on("unexpected-response", (_request, response) => {
    reason = describeAnswer(response, address);
    socket.terminate();
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    unusable = untrusted(error, address);
    reason ||= describe(error, address);
  });
  socket.on("close", (code) => {
    outbox.close();
    if (unusable === undefined) listener.onClose(reason || `the coordinator closed the connection (${code})`);
    else listener.onUnusable(unusable);
  });
  const outbox = new Outbox((frame, flushed) => {
    // On a socket that is going down there is nobody to send to; `onClose` says so.
    if (socket.readyState === WebSocket.OPEN && wire !== undefined) sendFrame(socket, wire, frame, flushed);
  });
  return { outbox, close: () => socket.close(), terminate: () => socket.terminate() };
}

/** ws calls it with a port and a host; the other forms of `net.createConnection` are not its. */
const openFrameSocket: unknown = (options: TcpNetConnectOpts) => FrameSocket.connect(options);

const isPrivate = ({ protocol, hostname }: URL): boolean =>
  protocol === "wss:" || ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
