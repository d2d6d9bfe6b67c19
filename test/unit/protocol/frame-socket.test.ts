/** A socket under a WebSocket, against a server that sends bytes. */
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { FrameSocket } from "../../../shared/protocol/frame-socket.ts";

/** Frames with payloads of 50,000 bytes, behind the head of an HTTP response. */
const frames = Buffer.concat([
  Buffer.from("HTTP/1.1 101 x\r\n\r\n"),
  ...Array.from({ length: 40 }, (_, index) =>
    Buffer.concat([Buffer.of(0x82, 126, 0xc3, 0x50), Buffer.alloc(50_000, index)]),
  ),
]);

async function connected(): Promise<{ socket: FrameSocket; wire: Socket }> {
  const server = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, "connection");
  const socket = FrameSocket.connect({ host: "127.0.0.1", port });
  const [wire] = (await accepted) as [Socket];
  onTestFinished(() => void socket.destroy());
  return { socket, wire };
}

it("gives each long payload in one piece to whoever reads", async () => {
  const { socket, wire } = await connected();
  socket.gather(60_000);
  const lengths: number[] = [];
  socket.on("data", ({ length }: Buffer) => lengths.push(length));
  wire.end(frames);
  await once(socket, "end");
  expect(lengths.filter((length) => length === 50_000)).toHaveLength(40);
});

it("gives whoever does not read at the moment the same bytes later", async () => {
  const { socket, wire } = await connected();
  socket.gather(60_000);
  const read: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => {
    read.push(Buffer.from(bytes));
    // Every now and then it reads no more for a while.
    if (read.length % 3 > 0) return;
    socket.pause();
    setTimeout(() => socket.resume(), 1);
  });
  wire.end(frames);
  await once(socket, "end");
  expect(Buffer.concat(read).equals(frames)).toBe(true);
});

/** A message of a short fragment and a long one. */
const message = Buffer.concat([Buffer.of(0x02, 1, 65), Buffer.of(0x80, 126, 0xc3, 0x50), Buffer.alloc(50_000, 7)]);

it("reads a payload to where it belongs, until whoever reads has used it", async () => {
  const { socket, wire } = await connected();
  const bytes = new Uint8Array(new SharedArrayBuffer(50_000));
  const told: string[] = [];
  socket.gather(60_000, (front, length) => {
    told.push(`${front.toString()} ${length}`);
    return { bytes, came: () => {}, over: () => told.push("over") };
  });
  socket.on("data", (piece: Buffer) => {
    if (piece.length === 50_000) told.push(`read ${piece.buffer === bytes.buffer} ${new Set(bytes).size} ${bytes[0]}`);
  });
  wire.end(Buffer.concat([frames, message]));
  await once(socket, "end");
  expect(told.filter((line) => line !== "read false 1 0")).toEqual(["A 50000", "read true 1 7", "over"]);
});

it("leaves where a payload belongs when the connection ends in the middle of it", async () => {
  for (const end of ["destroy", "cut"] as const) {
    const { socket, wire } = await connected();
    const told: string[] = [];
    socket.gather(60_000, (_, length) => ({
      bytes: new Uint8Array(length),
      came: () => {},
      over: () => told.push("over"),
    }));
    socket.resume();
    wire.write(Buffer.concat([frames, message.subarray(0, 30_000)]));
    await expect.poll(() => socket.bytesRead).toBe(frames.length + 30_000);
    expect(told).toEqual([]);
    if (end === "destroy") socket.destroy();
    else wire.destroy();
    await expect.poll(() => told).toEqual(["over"]);
  }
});

it("does not read on while nobody takes what it has read", async () => {
  const { socket, wire } = await connected();
  socket.gather(60_000);
  wire.end(frames);
  await expect.poll(() => socket.readableLength).toBeGreaterThan(0);
  await sleep(50);
  expect(socket.readableLength).toBeLessThan(200_000);
  const read: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => read.push(Buffer.from(bytes)));
  await once(socket, "end");
  expect(Buffer.concat(read).equals(frames)).toBe(true);
});

it("says that bytes have come before the frame is whole", async () => {
  const { socket, wire } = await connected();
  socket.gather(60_000);
  socket.resume();
  let heard = 0;
  socket.on("bytes", () => (heard += 1));
  wire.write(frames.subarray(0, 20_000));
  await expect.poll(() => heard).toBeGreaterThan(0);
  const before = heard;
  wire.write(frames.subarray(20_000, 30_000));
  await expect.poll(() => heard).toBeGreaterThan(before);
});

it("takes the place of a server's connection, which closes behind it and not before, however long nothing comes", async () => {
  const server = createHttpServer().listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  server.timeout = 50;
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  onTestFinished(() => void client.destroy());
  client.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
  const [, socket, head] = (await once(server, "upgrade")) as [unknown, Socket, Buffer];
  const taken = FrameSocket.upgraded(socket, head);
  expect(taken).toBeInstanceOf(FrameSocket);
  let isClosed = false;
  socket.once("close", () => (isClosed = true));
  const read: Buffer[] = [];
  taken.on("data", (bytes: Buffer) => read.push(bytes));
  await sleep(200);
  expect(isClosed).toBe(false);
  client.end(Buffer.of(0x82, 1, 65));
  await expect.poll(() => isClosed).toBe(true);
  expect(Buffer.concat(read).toString("hex")).toBe("820141");
});
