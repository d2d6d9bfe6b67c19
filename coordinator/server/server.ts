/**
 * The coordinator's edge to the network: an HTTP server, with TLS where it has a certificate, whose WebSocket connections
 * are the workers; what else is asked is answered by edge.ts. What a connection may cost is bounded here: strangers by the gate and by a few kilobytes, everyone by
 * the length of a frame and by what they leave unread.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { everySecond } from "../../shared/clock.ts";
import { LockstepError } from "../../shared/errors.ts";
import { MOST_FRAGMENTS, packsFor, segmentFrameLimit } from "../../shared/protocol/codec.ts";
import type { Frame } from "../../shared/protocol/codec.ts";
import { FrameSocket, gatherFrames, onBytes, sendFrame } from "../../shared/protocol/frame-socket.ts";
import type { JoinToken } from "../../shared/protocol/handshake.ts";
import { decodeLoad } from "../../shared/protocol/load.ts";
import type { Load } from "../../shared/protocol/load.ts";
import { LONG_SEGMENT_BYTES, REFUSAL_HEADER } from "../../shared/protocol/messages.ts";
import { Outbox } from "../../shared/protocol/outbox.ts";
import type { TlsMaterial } from "../../shared/tls.ts";
import { httpEdge } from "./edge.ts";
import type { Door, Site } from "./edge.ts";
import { Gate } from "./gate.ts";
import type { Visit } from "./gate.ts";
import { listenAt } from "./listening.ts";
import { isForeignOrigin } from "./origin.ts";

export interface Connection {
  readonly outbox: Outbox;
  /** What whoever is at the other end must prove to know. */
  readonly token: JoinToken;
  /** Whether it comes from an address of this host; it may still have been forwarded from another. */
  readonly isLocal: boolean;
  /** It has; from now on it may send more than a stranger. */
  proven(): void;
  /** What is known of the connection. */
  link(): Link;
  /** Asks for a sign of life, which tells the round trip and how busy the other side is. */
  ping(): void;
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

interface ConnectionHandlers {
  onFrame(frame: Frame): void;
  /** Bytes have come, of a frame that may take long on a slow link. Said once a second at most. */
  onBytes(): void;
  onClose(reason: string): void;
}

export interface ServerListener {
  onConnection(connection: Connection): ConnectionHandlers;
  /** Someone at this address was not let as far as a connection. Said once a second at most. */
  onRefused(address: string, error: LockstepError): void;
}

export interface ListenOptions extends Door {
  /** 0: any free one. */
  readonly port: number;
  readonly maxConnections: number;
  /** Bytes of the model's largest partial: nobody may send frames that are longer than its segments. */
  readonly partialBytes: number;
}

export interface Server {
  /** ws://host:port or wss://host:port, as a worker needs it. */
  readonly url: string;
  /** Takes workers from now on, and shows the site if there is one; until then all are told to come again. */
  serve(listener: ServerListener, site?: Site): void;
  close(): Promise<void>;
}

/** Whoever sends no request, or takes longer for the TLS handshake, is cut off; milliseconds. */
const REQUEST_DEADLINE = 10_000;
/** So is an HTTP connection on which nothing moves for so long; WebSockets have heartbeats of their own. */
const IDLE_DEADLINE = 60_000;
/** All that a stranger may send; a hello is less than 1,000 bytes. */
const STRANGER_BYTES = 16_384;
/** Bulk frames wait in the outbox; more than this in the socket's own buffer means that the other side doesn't read. */
const MOST_UNREAD = 8 * LONG_SEGMENT_BYTES;

/** Listens. Throws PORT_IN_USE or BIND_REFUSED. */
export async function listen(options: ListenOptions): Promise<Server> {
  const { host, port, tls, maxConnections, partialBytes } = options;
  const http = httpServer(tls).on("request", notYet);
  http.headersTimeout = http.requestTimeout = REQUEST_DEADLINE;
  http.timeout = IDLE_DEADLINE;
  // Beyond the workers, room for those that are told why they are refused.
  http.maxConnections = maxConnections + 100;
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: segmentFrameLimit(partialBytes, false),
    maxFragments: MOST_FRAGMENTS,
  });
  const authority = await listenAt(http, host, port);
  return {
    url: `${tls === undefined ? "ws" : "wss"}://${authority}`,
    serve: (listener, site = noSite) => serve(http, sockets, options, listener, site),
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** With a CA, only clients that show a certificate of it get past the TLS handshake. */
const httpServer = (tls: TlsMaterial | undefined): HttpServer =>
  tls === undefined
    ? createServer()
    : createTlsServer({
        ...tls,
        requestCert: tls.ca !== undefined,
        rejectUnauthorized: tls.ca !== undefined,
        handshakeTimeout: REQUEST_DEADLINE,
      });

const noSite: Site = { health: () => ({ alive: true, ready: true }), mount() {} };

function notYet(_request: IncomingMessage, response: ServerResponse): void {
  const reason = "the coordinator is still starting";
  response.writeHead(503, { "content-type": "text/plain", "retry-after": "1", [REFUSAL_HEADER]: reason }).end(reason);
}

function serve(
  http: HttpServer,
  sockets: WebSocketServer,
  options: ListenOptions,
  listener: ServerListener,
  site: Site,
): void {
  const gate = new Gate(options.maxConnections);
  http.off("request", notYet).on("request", httpEdge(site, options, gate));
  let lastTold = Number.NEGATIVE_INFINITY;
  const tell = (address: string, error: LockstepError): void => {
    if (performance.now() - lastTold < 1_000) return;
    lastTold = performance.now();
    listener.onRefused(address, error);
  };
  http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const address = request.socket.remoteAddress ?? "";
    const visit = isForeignOrigin(request.headers, options.host)
      ? new LockstepError(
          "CONNECTION_REFUSED",
          "a web page of another site asked for it",
          "open the coordinator's page",
        )
      : gate.admit(address, performance.now());
    if (visit instanceof LockstepError) {
      tell(address, visit);
      turnAway(socket, visit);
      return;
    }
    const wire = FrameSocket.upgraded(socket, head);
    // Also when the upgrade itself fails, and however the connection ends.
    wire.once("close", () => visit.gone(performance.now()));
    sockets.handleUpgrade(request, wire, Buffer.alloc(0), (opened) => accept(opened, wire, visit, options, listener));
  });
  http.on("tlsClientError", (error: Error, socket: { readonly remoteAddress?: string }) => {
    // OpenSSL's own sentences end with its source file and a line break.
    const { code = error.message } = error as NodeJS.ErrnoException;
    const sentence = `no TLS connection came about: ${code === "ERR_SSL_HTTP_REQUEST" ? "it was asked for one without TLS" : code}`;
    tell(socket.remoteAddress ?? "unknown address", new LockstepError("TLS_REFUSED", sentence));
  });
}

/** Answers an upgrade with the reason why there is none; a worker shows it and comes again. */
function turnAway(socket: Duplex, { message, hint }: LockstepError): void {
  const body = `${message}: ${hint}\n`;
  const lines = [
    "HTTP/1.1 503 Service Unavailable",
    "connection: close",
    "content-type: text/plain",
    `content-length: ${body.length}`,
    `${REFUSAL_HEADER}: ${message}`,
  ];
  socket.on("error", () => socket.destroy());
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

function accept(
  socket: WebSocket,
  wire: Duplex,
  visit: Visit,
  { token, partialBytes }: ListenOptions,
  listener: ServerListener,
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
    gatherFrames(wire, segmentFrameLimit(partialBytes, packsFor(isLocal)));
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
  const handlers = listener.onConnection({
    outbox,
    token,
    isLocal,
    proven,
    link,
    ping,
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
