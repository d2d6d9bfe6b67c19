/** What a worker writes of a coordinator's data, and what it does not, against a server made of bytes. */
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { JoinToken } from "../../../shared/protocol/handshake.ts";
import { download } from "../../../worker/download.ts";
import { temporaryFolder } from "../../support/files.ts";

/** One request's answer: writes to the socket, and closes it or not. */
type Answer = (socket: Socket) => void;

interface Fetched {
  /** What the download has said. */
  readonly error: unknown;
  /** How much of the disk it has taken. */
  readonly written: number;
  readonly path: string;
  /** The requests' ranges. */
  readonly ranges: readonly (string | undefined)[];
  /** The connections that are still open. */
  readonly open: ReadonlySet<Socket>;
}

/** Fetches from a server that gives these answers, the last one again and again. */
async function fetchFrom(...answers: readonly Answer[]): Promise<Fetched> {
  const ranges: (string | undefined)[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => {}).on("close", () => open.delete(socket));
    socket.once("data", (request) => {
      const answer = answers[Math.min(ranges.length, answers.length - 1)]!;
      ranges.push(/^range: (.*)$/im.exec(request.toString())?.[1]);
      answer(socket);
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const aborting = new AbortController();
  onTestFinished(() => {
    aborting.abort();
    for (const socket of open) socket.destroy();
    server.close();
  });
  const address = new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const path = join(await temporaryFolder(), "data.part");
  const source = { address, tls: {}, token: JoinToken.none, signal: aborting.signal };
  // Nobody stops an endless answer but who reads it.
  const error = await download(source, "0".repeat(64), path, (received) => {
    if (received > 5_000_000) aborting.abort();
  }).catch((thrown: unknown) => thrown);
  const { size: written } = await stat(path).catch(() => ({ size: 0 }));
  return { error, written, path, ranges, open };
}

const head = (...lines: string[]): string => `${lines.join("\r\n")}\r\n\r\n`;

/** Bytes without an end. */
function forEver(socket: Socket, bytes: Buffer): void {
  const go = (): void => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on("drain", go);
  go();
}

/** An answer that is cut once its bytes are written. */
const cut =
  (text: string): Answer =>
  (socket) => {
    socket.write(text);
    setTimeout(() => socket.destroy(), 200);
  };

const chunk = Buffer.from(`${(65_536).toString(16)}\r\n${"x".repeat(65_536)}\r\n`);

it.each([
  ["in chunks", "HTTP/1.1 200 OK", "transfer-encoding: chunked"],
  ["until the connection closes", "HTTP/1.0 200 OK", "connection: close"],
  ["in chunks, with a range", "HTTP/1.1 206 Partial Content", "transfer-encoding: chunked"],
])("an endless answer %s is refused before anything is written", async (_, ...lines) => {
  const { error, written, ranges } = await fetchFrom((socket) => {
    socket.write(head(...lines));
    forEver(socket, chunk);
  });
  expect(error).toMatchObject({
    code: "DATA_MISSING",
    message: expect.stringMatching(/127\.0\.0\.1:\d+ does not say in a content-length how long its answer is$/),
    hint: expect.stringContaining("a proxy must hand lengths"),
  });
  expect([written, ranges]).toEqual([0, [undefined]]);
});

it("of an answer that is longer than said, what was said is taken", async () => {
  const { error, path } = await fetchFrom((socket) => {
    socket.write(head("HTTP/1.1 200 OK", "content-length: 6"));
    socket.write("whole!");
    forEver(socket, Buffer.alloc(65_536, "x"));
  });
  expect(error).toBeUndefined();
  expect(await readFile(path, "utf8")).toBe("whole!");
});

it("answers that are cut, and of which each promises more, do not add up", async () => {
  let from = 0;
  const { error, written, ranges } = await fetchFrom((socket) => {
    const whole = from + 2_000_000;
    const range = `content-range: bytes ${from}-${whole - 1}/${whole}`;
    const status = from === 0 ? ["HTTP/1.1 200 OK"] : ["HTTP/1.1 206 Partial Content", range];
    cut(head(...status, "content-length: 2000000") + "x".repeat(1_000_000))(socket);
    from += 1_000_000;
  });
  expect(error).toMatchObject({
    code: "DATA_MISSING",
    message: expect.stringMatching(/said that the data has 2000000 bytes, and then 3000000$/),
  });
  expect([written, ranges]).toEqual([1_000_000, [undefined, "bytes=1000000-"]]);
});

it.each([
  ["bytes 0-4/10", "bytes 0-4/10"],
  ["bytes 5-9/99", "bytes 5-9/99"],
  [undefined, "no content-range"],
])("a part that says %s where another was asked for is not written", async (said, told) => {
  const { error, path } = await fetchFrom(cut(`${head("HTTP/1.1 200 OK", "content-length: 10")}first`), (socket) => {
    const range = said === undefined ? [] : [`content-range: ${said}`];
    socket.end(`${head("HTTP/1.1 206 Partial Content", "content-length: 5", ...range)}wrong`);
  });
  expect(error).toMatchObject({
    code: "DATA_MISSING",
    message: expect.stringMatching(new RegExp(`was asked for the rest of 10 bytes from byte 5 on, and sends ${told}$`)),
  });
  expect(await readFile(path, "utf8")).toBe("first");
});

it("goes on with the part that was asked for, and anew with the whole", async () => {
  const parts = await fetchFrom(cut(`${head("HTTP/1.1 200 OK", "content-length: 10")}first`), (socket) =>
    socket.end(`${head("HTTP/1.1 206 Partial Content", "content-length: 5", "content-range: bytes 5-9/10")}other`),
  );
  expect(parts.error).toBeUndefined();
  expect(await readFile(parts.path, "utf8")).toBe("firstother");
  const anew = await fetchFrom(cut(`${head("HTTP/1.1 200 OK", "content-length: 10")}first`), (socket) =>
    socket.end(`${head("HTTP/1.1 200 OK", "content-length: 10")}0123456789`),
  );
  expect(anew.error).toBeUndefined();
  expect(await readFile(anew.path, "utf8")).toBe("0123456789");
});

it("who is busy without an end is not listened to", async () => {
  const { error, open } = await fetchFrom(
    (socket) => {
      socket.write(head("HTTP/1.1 503 Service Unavailable", "transfer-encoding: chunked"));
      forEver(socket, chunk);
    },
    (socket) => socket.end(`${head("HTTP/1.1 200 OK", "content-length: 5")}there`),
  );
  expect(error).toBeUndefined();
  await expect.poll(() => open.size).toBe(0);
});
