/** The coordinator's edge, over real sockets on loopback: what strangers, pages of other sites and slow readers may cost. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { listen } from "../../../coordinator/server/server.ts";
import type { Connection } from "../../../coordinator/server/connection.ts";
import type { Server, ServerListener } from "../../../coordinator/server/server.ts";
import type { LockstepError } from "../../../shared/errors.ts";
import { bytesOf } from "../../../shared/protocol/codec.ts";
import { JoinToken } from "../../../shared/protocol/handshake.ts";
import { LONG_SEGMENT_BYTES } from "../../../shared/protocol/messages.ts";
import { encodeLoad } from "../../../shared/protocol/load.ts";

/** Takes every connection and remembers what happens. */
class Watching implements ServerListener {
  readonly connections: Connection[] = [];
  readonly refused: LockstepError[] = [];
  readonly closed: string[] = [];
  received = 0;
  /** The values of frames that are one value throughout. */
  readonly wholes: number[] = [];
  heard = 0;

  onConnection(connection: Connection): ReturnType<ServerListener["onConnection"]> {
    this.connections.push(connection);
    return {
      onFrame: (frame) => {
        this.received += bytesOf(frame);
        if (new Set(frame[0]).size === 1) this.wholes.push(frame[0]![0]!);
      },
      onBytes: () => (this.heard += 1),
      onClose: (reason) => this.closed.push(reason),
    };
  }

  onRefused(_address: string, error: LockstepError): void {
    this.refused.push(error);
  }
}

async function serving(maxConnections = 9, partialBytes = 8 << 20): Promise<{ server: Server; watching: Watching }> {
  const server = await listen({ host: "127.0.0.1", port: 0, token: JoinToken.none, maxConnections, partialBytes });
  onTestFinished(() => server.close());
  const watching = new Watching();
  server.serve(watching);
  return { server, watching };
}

/** Resolves when the connection is open; rejects with the HTTP status and the reason where it is refused. */
async function open(url: string, headers: Record<string, string> = {}): Promise<WebSocket> {
  const socket = new WebSocket(url, { headers, perMessageDeflate: false });
  onTestFinished(() => socket.terminate());
  socket.on("error", () => {});
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("unexpected-response", (_request, { statusCode, headers }) =>
      reject(new Error(`${statusCode} ${String(headers["lockstep-refusal"])}`)),
    );
  });
  return socket;
}

const closing = (socket: WebSocket): Promise<void> => new Promise((resolve) => socket.once("close", () => resolve()));

describe("a stranger", () => {
  it("is cut off after 16 KiB, in whatever pieces, and before they are handed on", async () => {
    for (const pieces of [1, 40]) {
      const { server, watching } = await serving();
      const socket = await open(server.url);
      for (let piece = 0; piece < pieces; piece++) socket.send(Buffer.alloc(40_000 / pieces));
      await closing(socket);
      await expect.poll(() => watching.closed).toHaveLength(1);
      expect(watching.closed[0]).toMatch(/^it sent \d+ bytes before it proved that it may join$/);
      expect(watching.received).toBeLessThan(20_000);
    }
  });

  it.each([
    ["a segment", 3 * LONG_SEGMENT_BYTES, LONG_SEGMENT_BYTES, 2 * LONG_SEGMENT_BYTES],
    ["the model's size if that is less", 50_000, 50_000, 120_000],
  ])("may send frames of %s once it is none, and still none that is longer", async (_what, model, most, longer) => {
    const { server, watching } = await serving(9, model);
    const socket = await open(server.url);
    watching.connections[0]!.proven();
    for (let count = 0; count < 3; count++) socket.send(Buffer.alloc(most));
    await expect.poll(() => watching.received).toBe(3 * most);
    socket.send(Buffer.alloc(longer));
    await closing(socket);
    await expect.poll(() => watching.closed).toEqual(["Max payload size exceeded"]);
  });
});

describe("connections", () => {
  it("before workers are taken are told that the coordinator is still starting, and when to come again", async () => {
    const server = await listen({
      host: "127.0.0.1",
      port: 0,
      token: JoinToken.none,
      maxConnections: 9,
      partialBytes: 1,
    });
    onTestFinished(() => server.close());
    await expect(open(server.url)).rejects.toThrow("503 the coordinator is still starting");
    const answer = await fetch(server.url.replace("ws", "http"));
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
    server.serve(new Watching());
    await open(server.url);
  });

  it("beyond the limit are refused with the reason, until one is gone", async () => {
    const { server, watching } = await serving(2);
    const first = await open(server.url);
    await open(server.url);
    for (const connection of watching.connections) connection.proven();
    await expect(open(server.url)).rejects.toThrow("503 all 2 connections are in use");
    expect(watching.refused.map(({ code }) => code)).toEqual(["CONNECTION_REFUSED"]);
    first.close();
    await closing(first);
    await expect.poll(() => watching.closed).toHaveLength(1);
    await open(server.url);
  });

  it("that fail before their proof are counted, those that end after it are not", async () => {
    const { server, watching } = await serving();
    const visit = async (proves: boolean): Promise<void> => {
      const before = watching.closed.length;
      const socket = await open(server.url);
      if (proves) watching.connections.at(-1)?.proven();
      socket.terminate();
      await expect.poll(() => watching.closed.length, { interval: 1 }).toBe(before + 1);
    };
    for (let count = 0; count < 12; count++) await visit(true);
    for (let count = 0; count < 10; count++) await visit(false);
    await expect(visit(true)).rejects.toThrow("503 10 joins from 127.0.0.1 failed within a minute");
    // Of many refusals in a second one is told.
    for (let count = 0; count < 5; count++) await expect(visit(true)).rejects.toThrow("503");
    expect(watching.refused).toHaveLength(1);
  });

  it("from a web page are taken only from the coordinator's own", async () => {
    const { server } = await serving();
    const { host } = new URL(server.url);
    await expect(open(server.url, { origin: "https://evil.example" })).rejects.toThrow(
      "503 a web page of another site",
    );
    await open(server.url, { origin: `http://${host}` });
  });
});

/** Asks for an upgrade by bytes, and sends what follows in the same piece. */
function upgrading(url: string, following: Buffer, before = ""): Socket {
  const { hostname, port, host } = new URL(url);
  const wire = connect(Number(port), hostname);
  onTestFinished(() => void wire.destroy());
  wire.on("error", () => {});
  const lines = [
    "GET / HTTP/1.1",
    `Host: ${host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  wire.write(Buffer.concat([Buffer.from(`${before}${lines.join("\r\n")}\r\n\r\n`), following]));
  return wire;
}

describe("a connection", () => {
  it("is heard from the first frame on, also one that comes with the request for the upgrade", async () => {
    const { server, watching } = await serving();
    upgrading(server.url, Buffer.concat([Buffer.of(0x82, 0x85, 0, 0, 0, 0), Buffer.from("hello")]));
    await expect.poll(() => watching.received).toBe(5);
    expect(watching.connections[0]!.link().bytesReceived).toBeGreaterThan(100);
  });

  it("may ask for something else right before the upgrade: it goes on, and its place is held until it is gone", async () => {
    const { server, watching } = await serving(1);
    const { host } = new URL(server.url);
    const wire = upgrading(server.url, Buffer.alloc(0), `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await expect.poll(() => watching.connections).toHaveLength(1);
    // Until the answer to the first request has found nobody.
    await sleep(100);
    wire.write(Buffer.concat([Buffer.of(0x82, 0x85, 0, 0, 0, 0), Buffer.from("hello")]));
    await expect.poll(() => watching.received).toBe(5);
    await expect(open(server.url)).rejects.toThrow("503 all 1 connections are in use");
    wire.destroy();
    await expect.poll(() => watching.closed).toHaveLength(1);
  });

  it("is heard while a frame of its own is on its way, once a second", async () => {
    const { server, watching } = await serving();
    const socket = await open(server.url);
    // The start of a frame of 1,000 bytes that are not masked, which ws would refuse at the end.
    const wire = Reflect.get(socket, "_socket") as Socket;
    wire.write(Buffer.from([0x82, 0xfe, 0x03, 0xe8, 0, 0, 0, 0]));
    await expect.poll(() => watching.heard).toBe(1);
    wire.write(Buffer.alloc(10));
    await sleep(1_100);
    wire.write(Buffer.alloc(10));
    await expect.poll(() => watching.heard).toBe(2);
    expect(watching.received).toBe(0);
  });

  it("tells how long a ping took to be answered, and what the answer says of the worker's load", async () => {
    const { server, watching } = await serving();
    const socket = new WebSocket(server.url, { perMessageDeflate: false, autoPong: false });
    onTestFinished(() => socket.terminate());
    let answer = encodeLoad({ cpuSeconds: 1.5, residentBytes: 4_096 });
    socket.on("ping", () => void sleep(50).then(() => socket.pong(answer)));
    await expect.poll(() => watching.connections).toHaveLength(1);
    const [connection] = watching.connections;
    expect(connection!.link()).toMatchObject({ roundTrip: undefined, load: undefined });
    const before = performance.now();
    connection!.ping();
    await expect.poll(() => connection!.link().roundTrip).toBeGreaterThan(40);
    const { roundTrip, load } = connection!.link();
    expect(roundTrip).toBeLessThan(performance.now() - before);
    expect(load).toMatchObject({ cpuSeconds: 1.5, residentBytes: 4_096 });
    expect(load!.at).toBeGreaterThanOrEqual(before + roundTrip!);
    // Another program's answer says nothing of it, not even what was before.
    answer = Buffer.alloc(3);
    connection!.ping();
    await expect.poll(() => connection!.link().load).toBe(undefined);
  });

  it("that sends text is cut off", async () => {
    const { server, watching } = await serving();
    const socket = await open(server.url);
    socket.send("words");
    await closing(socket);
    await expect.poll(() => watching.closed).toEqual(["it sent text, where frames are binary"]);
    expect(watching.received).toBe(0);
  });

  it("that sends a message of more than two fragments is cut off", async () => {
    const { server, watching } = await serving();
    const socket = await open(server.url);
    for (let part = 0; part < 3; part++) socket.send(Buffer.alloc(4), { fin: part === 2 });
    await closing(socket);
    await expect.poll(() => watching.closed).toEqual(["Too many message fragments"]);
  });

  it("brings long frames whole, once it is proven, and ends in good order", async () => {
    const { server, watching } = await serving();
    const socket = await open(server.url);
    await expect.poll(() => watching.connections).toHaveLength(1);
    watching.connections[0]!.proven();
    for (let value = 1; value <= 20; value++) socket.send(Buffer.alloc(300_000, value));
    await expect.poll(() => watching.received).toBe(20 * 300_000);
    expect(watching.wholes).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    const closed = closing(socket);
    watching.connections[0]!.close();
    await closed;
    await expect.poll(() => watching.closed).toHaveLength(1);
  });
});

describe("a connection that does not read", () => {
  it("is cut off with what it left unread", async () => {
    const { server, watching } = await serving();
    const socket = await open(server.url);
    socket.pause();
    await expect
      .poll(
        () => {
          watching.connections[0]!.outbox.send([Buffer.alloc(1 << 20)]);
          return watching.closed.join();
        },
        { interval: 1 },
      )
      .toMatch(/^it left \d+ bytes unread$/);
  });

  it("is cut off although all that it asks for are answers to pings", async () => {
    const { server, watching } = await serving();
    const wire = upgrading(server.url, Buffer.alloc(0));
    await expect.poll(() => watching.connections).toHaveLength(1);
    watching.connections[0]!.proven();
    wire.pause();
    // A ping of 125 bytes, masked with zeros, ten thousand times.
    const pings = Buffer.concat(Array<Buffer>(10_000).fill(Buffer.concat([Buffer.of(0x89, 0xfd), Buffer.alloc(129)])));
    await expect
      .poll(
        () => {
          if (wire.writableLength < 8 << 20) wire.write(pings);
          return watching.closed.join();
        },
        { interval: 5, timeout: 20_000 },
      )
      // By ws itself.
      .toBe("the connection was lost");
  });
});
