/**
 * The coordinator's edge to the network: an HTTP server, with TLS where it has a certificate, whose WebSocket connections are the
 * workers (connection.ts); what else is asked is answered by edge.ts. Strangers are let in by the gate.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { LockstepError } from "../../shared/errors.ts";
import { MOST_FRAGMENTS, segmentFrameLimit } from "../../shared/protocol/codec.ts";
import { FrameSocket } from "../../shared/protocol/frame-socket.ts";
import { REFUSAL_HEADER } from "../../shared/protocol/messages.ts";
import type { TlsMaterial } from "../../shared/tls.ts";
import { accept } from "./connection.ts";
import type { Connection, ConnectionHandlers, Entrance } from "./connection.ts";
import { httpEdge } from "./edge.ts";
import type { PortRules, Site } from "./edge.ts";
import { Gate } from "./gate.ts";
import { deadlines, listenAt, REQUEST_DEADLINE } from "./listening.ts";
import { isForeignOrigin } from "./origin.ts";

export interface ServerListener {
  onConnection(connection: Connection): ConnectionHandlers;
  /** Someone at this address was not let as far as a connection. Said once a second at most. */
  onRefused(address: string, error: LockstepError): void;
}

export interface ListenOptions extends PortRules, Entrance {
  /** 0: any free one. */
  readonly port: number;
  readonly maxConnections: number;
}

export interface Server {
  /** ws://host:port or wss://host:port, as a worker needs it. */
  readonly url: string;
  /** Takes workers from now on, and shows the site if there is one; until then all are told to come again. */
  serve(listener: ServerListener, site?: Site): void;
  /** Of a server with TLS: connections from now on are made with these. */
  renew(tls: TlsMaterial): void;
  close(): Promise<void>;
}

/** Listens. Throws PORT_IN_USE or BIND_REFUSED. */
export async function listen(options: ListenOptions): Promise<Server> {
  const { host, port, tls, maxConnections, partialBytes } = options;
  const http = httpServer(tls).on("request", notYet);
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
    renew: (material) => void (http instanceof TlsServer && http.setSecureContext(material)),
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
    ? createServer(deadlines)
    : createTlsServer({
        ...deadlines,
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
    sockets.handleUpgrade(request, wire, Buffer.alloc(0), (opened) =>
      accept(opened, wire, visit, options, (connection) => listener.onConnection(connection)),
    );
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
