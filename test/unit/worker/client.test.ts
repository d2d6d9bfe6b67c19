/** The worker's edge, against a server made of bytes. */
import { createHash } from "node:crypto";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { coordinatorAddress } from "../../../shared/address.ts";
import { connect } from "../../../worker/client.ts";

/** A server that answers the upgrade with these bytes behind its answer, in one piece. */
async function answering(bytes: Buffer): Promise<{ url: URL; wire: Promise<Socket> }> {
  const { promise: wire, resolve } = Promise.withResolvers<Socket>();
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (request) => {
      const [, key] = /sec-websocket-key: (\S+)/i.exec(request.toString())!;
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      const lines = ["HTTP/1.1 101 x", "upgrade: websocket", "connection: upgrade", `sec-websocket-accept: ${accept}`];
      socket.write(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), bytes]));
      resolve(socket);
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  onTestFinished(() => void server.close());
  return { url: coordinatorAddress(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`), wire };
}

/** A WebSocket frame as a server sends it, with two bytes of length. */
function frameOf(payload: Buffer, { opcode, fin }: { opcode: number; fin: boolean }): Buffer {
  const header = Buffer.of((fin ? 0x80 : 0) | opcode, 126, 0, 0);
  header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}

it("hears messages of two fragments, both long, whether their bytes come at once or bit by bit", async () => {
  const sections = [1, 2, 3].map((value) => Buffer.alloc(60_000, value));
  const bytes = Buffer.concat(
    sections.flatMap((section) => [
      frameOf(Buffer.from("header".padEnd(30_000)), { opcode: 2, fin: false }),
      frameOf(section, { opcode: 0, fin: true }),
    ]),
  );
  for (const isSlow of [false, true]) {
    // The first bytes come with the answer to the upgrade, before it is known that the connection may have long frames.
    const { url, wire } = await answering(bytes.subarray(0, 70_000));
    const heard: string[] = [];
    const client = connect(
      url,
      {},
      {
        onOpen: () => {},
        onUnusable: (error) => heard.push(String(error)),
        onFrame: ([header, section]) =>
          heard.push(`${header!.toString().trim()} ${section!.length} of ${new Set(section).size} ${section![0]}`),
        onBytes: () => {},
        onClose: () => {},
      },
    );
    onTestFinished(() => client.terminate());
    const socket = await wire;
    for (let at = 70_000; at < bytes.length; at += 9_000) {
      if (isSlow) await sleep(2);
      socket.write(bytes.subarray(at, at + 9_000));
    }
    await expect.poll(() => heard).toEqual([1, 2, 3].map((value) => `header 60000 of 1 ${value}`));
  }
});

it("hears a frame that comes with the answer to the upgrade, and bytes of one that is on its way", async () => {
  const { url, wire } = await answering(Buffer.from([0x82, 2, 65, 66]));
  const frames: string[] = [];
  let heard = 0;
  const client = connect(
    url,
    {},
    {
      onOpen: () => {},
      onUnusable: (error) => frames.push(String(error)),
      onFrame: (frame) => frames.push(frame.join("|")),
      onBytes: () => (heard += 1),
      onClose: () => {},
    },
  );
  onTestFinished(() => client.terminate());
  await expect.poll(() => frames).toEqual(["AB"]);
  (await wire).write(Buffer.from([0x82, 126, 4, 0, 1, 2, 3]));
  await expect.poll(() => heard).toBeGreaterThan(0);
  expect(frames).toEqual(["AB"]);
});

it("cuts a connection on which text comes", async () => {
  const { url } = await answering(frameOf(Buffer.from("words"), { opcode: 1, fin: true }));
  const heard: string[] = [];
  const client = connect(
    url,
    {},
    {
      onOpen: () => {},
      onUnusable: (error) => heard.push(String(error)),
      onFrame: () => heard.push("a frame"),
      onBytes: () => {},
      onClose: (reason) => heard.push(reason),
    },
  );
  onTestFinished(() => client.terminate());
  await expect.poll(() => heard).toEqual(["the coordinator sent text, where frames are binary"]);
});
