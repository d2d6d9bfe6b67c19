/** A socket under a WebSocket, against a server that sends bytes. */
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished, vi } from "vitest";
import { operatingSystem } from "../../../shared/system.ts";
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

const greeting = Buffer.from("HTTP/1.1 101 x\r\n\r\n");

/** A message whose payload has a place, of so many bytes. */
const longMessage = (bytes: number): Buffer => {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(0x80_7f);
  head.writeBigUInt64BE(BigInt(bytes), 2);
  return Buffer.concat([Buffer.of(0x02, 1, 65), head, Buffer.alloc(bytes, 7)]);
};

it.each([50_000, 3_000_000])(
  "leaves where a payload of %i bytes belongs when the connection ends in the middle of it",
  async (length) => {
    for (const end of ["destroy", "cut", "end"] as const) {
      const { socket, wire } = await connected();
      const told: string[] = [];
      const over = (): number => told.push("over");
      socket.on("error", () => {});
      socket.gather(length, () => ({ bytes: new Uint8Array(length), came: () => {}, over }));
      socket.resume();
      const part = Buffer.concat([greeting, longMessage(length)]).subarray(0, 0.6 * length);
      wire.write(part);
      await expect.poll(() => socket.bytesRead, { timeout: 5_000 }).toBe(part.length);
      expect(told).toEqual([]);
      if (end === "destroy") socket.destroy();
      else if (end === "cut") wire.resetAndDestroy();
      else wire.end();
      await expect.poll(() => told).toEqual(["over"]);
    }
  },
);

it("asks for no room while older bytes wait for their reader", async () => {
  const { socket, wire } = await connected();
  let asked = 0;
  socket.gather(50_000, (_, length) => {
    asked += 1;
    return { bytes: new Uint8Array(length), came: () => {}, over: () => {} };
  });
  const [first, second] = [Buffer.concat([greeting, longMessage(50_000)]), longMessage(50_000)];
  wire.write(first);
  await expect.poll(() => socket.readableLength).toBe(first.length);
  expect(asked).toBe(0);
  const read: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => read.push(Buffer.from(bytes)));
  await expect.poll(() => Buffer.concat(read).equals(first)).toBe(true);
  wire.end(second);
  await once(socket, "end");
  expect(asked).toBe(1);
  expect(Buffer.concat(read).equals(Buffer.concat([first, second]))).toBe(true);
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

/** As `expect.poll`, which would have time pass that is faked. */
async function waitFor(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 2_000 && !isSo(); tries++) await sleep(1);
  expect(isSo()).toBe(true);
}

it.runIf(operatingSystem() !== undefined)(
  "is woken for large pieces of what belongs somewhere, and for the few bytes behind them",
  async () => {
    const { socket, wire } = await connected();
    // Its patience has no end here: whatever comes does so because it is all that is wanted.
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const bytes = new Uint8Array(3_000_000);
    const came: number[] = [];
    socket.gather(bytes.length, () => ({ bytes, came: (count) => came.push(count), over: () => came.push(0) }));
    const pieces: Buffer[] = [];
    socket.on("data", (piece: Buffer) => pieces.push(piece));
    wire.setNoDelay(true);
    const message = Buffer.concat([greeting, longMessage(bytes.length)]);
    for (let at = 0; at < message.length; at += 50_000) {
      wire.write(message.subarray(at, at + 50_000));
      await sleep(1);
    }
    await waitFor(() => came.at(-1) === 0);
    // Sixty pieces were sent.
    expect(came.length).toBeLessThan(10);
    expect(new Set(bytes)).toEqual(new Set([7]));
    const behind = Buffer.of(0x81, 1, 66);
    wire.write(behind);
    await waitFor(() => pieces.some((piece) => piece.equals(behind)));
  },
);

it("reads the few bytes of a payload that a slow sender has sent after a while, and waits for more then", async () => {
  const { socket, wire } = await connected();
  const bytes = new Uint8Array(3_000_000);
  const came: number[] = [];
  socket.gather(bytes.length, () => ({ bytes, came: (count) => came.push(count), over: () => {} }));
  socket.resume();
  const message = Buffer.concat([greeting, longMessage(bytes.length)]);
  const head = message.length - bytes.length;
  for (const [index, until] of [100_000, 130_000, 160_000].entries()) {
    wire.write(message.subarray(index === 0 ? 0 : head + [100_000, 130_000][index - 1]!, head + until));
    await expect.poll(() => came.at(-1), { timeout: 5_000 }).toBe(until);
  }
});
