/** A run's dataset over HTTP, over real connections: from any byte on, to few at a time, and to those who only ask how long it is. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { dataPages } from "../../../coordinator/http/data.ts";
import type { RunView } from "../../../coordinator/http/view.ts";
import { contentLength, createDataset } from "../../../shared/data/dataset.ts";
import { servePages } from "../../support/pages.ts";

/** As many downloads as there may be at a time. */
const MANY = 8;
/** More bytes than the system's buffers of a connection hold. */
const LONG = 32_000_000;

const train = createDataset({
  sampleShape: [LONG / 4],
  target: { kind: "class", classes: 2 },
  features: Uint8Array.from({ length: LONG }, (_, index) => (index >> 8) ^ index),
  targets: Int32Array.of(0, 1, 0, 1),
});
const size = contentLength(train.transfer());

async function serveData(): Promise<URL> {
  const run = { data: { sha256: "0".repeat(64), source: { train } } } as unknown as RunView;
  return new URL(`/data/${train.sha256}`, await servePages(dataPages(run)));
}

/** Begins a download and reads no more than its first bytes. */
const hang = ({ hostname, port, host, pathname }: URL): Promise<Socket> =>
  new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    onTestFinished(() => void socket.destroy());
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    socket.once("data", () => resolve(socket.pause()));
  });

test.each([
  ["of the whole", undefined, 200, size, null],
  ["of what is left", "bytes=9-", 206, size - 9, `bytes 9-${size - 1}/${size}`],
  ["of more than there is", `bytes=${size + 1}-`, 416, 0, `bytes */${size}`],
] as const)("the head %s says how long it is, also while no download more is let in", async (_, range, ...said) => {
  const url = await serveData();
  await Promise.all(Array.from({ length: MANY }, () => hang(url)));
  expect((await fetch(url)).status).toBe(503);
  const answer = await fetch(url, { method: "HEAD", headers: range === undefined ? {} : { range } });
  const length = Number(answer.headers.get("content-length"));
  expect([answer.status, length, answer.headers.get("content-range")]).toEqual(said);
  expect(await answer.text()).toBe("");
});

test("a download goes on from any byte, to the same bytes", async () => {
  const url = await serveData();
  const whole = Buffer.from(await (await fetch(url)).arrayBuffer());
  expect(whole).toHaveLength(size);
  for (const start of [1, 262_144, LONG - 1, LONG + 1, size - 1]) {
    const answer = await fetch(url, { headers: { range: `bytes=${start}-` } });
    expect(answer.status).toBe(206);
    expect(Buffer.from(await answer.arrayBuffer()).equals(whole.subarray(start)), `from ${start}`).toBe(true);
  }
});

test("others than the eight that download are told to come again, until one of these is gone", async () => {
  const url = await serveData();
  const [first] = await Promise.all(Array.from({ length: MANY }, () => hang(url)));
  const refused = await fetch(url);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await refused.text()).toContain("8 workers are fetching data");
  first!.destroy();
  const statusNow = async (): Promise<number> => {
    const { status, body } = await fetch(url);
    await body?.cancel();
    return status;
  };
  await expect.poll(statusNow).toBe(200);
});
