/** The coordinator's edge to the network: an HTTP server whose WebSocket connections are the workers. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { LockstepError } from "../shared/errors.ts";
import { SEGMENT_BYTES } from "../shared/protocol/messages.ts";
import { WORKER_FRAME_LIMIT } from "../shared/protocol/codec.ts";
import { Outbox } from "../shared/protocol/outbox.ts";

export interface Connection {
  readonly outbox: Outbox;
  /** Closes in good order once what was sent is out, and by force if the other side does not answer. */
  close(): void;
}

export interface ServerListener {
  onConnection(connection: Connection): { onFrame(frame: Buffer): void; onClose(reason: string): void };
}

export interface Server {
  /** ws://host:port, as a worker needs it. */
  readonly url: string;
  /** Takes workers from now on; until then they are told to come again. */
  serve(listener: ServerListener): void;
  close(): Promise<void>;
}

/** Listens. Throws PORT_IN_USE or BIND_REFUSED. */
export async function listen(host: string, port: number): Promise<Server> {
  const http = createServer((_request, response) => {
    response.writeHead(426, { "content-type": "text/plain" }).end("Lockstep coordinator: connect with a worker\n");
  });
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: WORKER_FRAME_LIMIT });
  await new Promise<void>((resolve, reject) => {
    http.once("error", (error: NodeJS.ErrnoException) => reject(bindError(error, host, port)));
    http.listen(port, host, resolve);
  });
  const address = http.address() as AddressInfo;
  const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return {
    url: `ws://${shown}:${address.port}`,
    serve(listener) {
      http.on("upgrade", (request, socket, head) =>
        sockets.handleUpgrade(request, socket, head, (opened) => accept(opened, listener)),
      );
    },
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** Bulk frames wait in the outbox; more than this in the socket's own buffer means that the other side doesn't read. */
const MOST_UNREAD = 16 * SEGMENT_BYTES;

function accept(socket: WebSocket, listener: ServerListener): void {
  socket.binaryType = "nodebuffer";
  let reason = "the connection was lost";
  const outbox = new Outbox((frame, flushed) => {
    // On a socket that is going down there is nobody to send to; its close event says so.
    if (socket.readyState !== socket.OPEN) return;
    socket.send(frame, { binary: true }, flushed);
    if (socket.bufferedAmount <= MOST_UNREAD) return;
    reason = `it left ${socket.bufferedAmount} bytes unread`;
    socket.terminate();
  });
  const handlers = listener.onConnection({ outbox, close: () => socket.close() });
  socket.on("message", (data) => handlers.onFrame(data as Buffer));
  // What ws objects to (a frame too long, broken UTF-8) ends the connection; the close event follows.
  socket.on("error", (error) => {
    reason = error.message;
  });
  socket.on("close", () => handlers.onClose(reason));
}

function bindError(error: NodeJS.ErrnoException, host: string, port: number): LockstepError {
  const cause = { cause: error };
  if (error.code === "EADDRINUSE") {
    const sentence = `port ${port} on ${host} is in use`;
    return new LockstepError("PORT_IN_USE", sentence, "choose another --port, or 0 for any free one", cause);
  }
  const sentence = `cannot listen on ${host}:${port}: ${error.message}`;
  return new LockstepError("BIND_REFUSED", sentence, "choose an address of this machine and a port above 1023", cause);
}
