/** A watcher that stops reading the feed, over a real connection: what waits for it is bounded, and it is made up for or let go. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Feed } from "../../../coordinator/dashboard/feed.ts";
import { RunHistory } from "../../../coordinator/dashboard/history.ts";
import type { RunFacts } from "../../../coordinator/dashboard/page/messages.ts";
import type { RunView } from "../../../coordinator/http/view.ts";

/** More than the system's buffers of a connection hold. */
const MANY = 20;
/** Bytes of each message, about. */
const LONG = 500_000;

interface Watched {
  readonly feed: Feed;
  readonly socket: Socket;
  /** The coordinator's end. */
  readonly response: ServerResponse;
  /** Something happens in the run, in a long sentence. */
  readonly happen: (what: string) => void;
  /** The clock of the run goes on. */
  readonly wait: (milliseconds: number) => void;
}

async function watched(): Promise<Watched> {
  let now = 0;
  const history = new RunHistory();
  const run = {
    state: { members: new Map(), audits: 0 },
    now: () => now,
    profile: () => ({}),
    observe: () => () => {},
  };
  const feed = new Feed(run as unknown as RunView, history, {} as RunFacts);
  const server = createServer((_, response) => feed.add(response, false)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  socket.write("GET /api/events HTTP/1.1\r\nHost: here\r\n\r\n");
  const [, response] = (await once(server, "request")) as [unknown, ServerResponse];
  return {
    feed,
    socket,
    response,
    // Each is told at once, as at the end of a run, not at the next of four times a second.
    happen: (what) => {
      history.say(now, "plain", what.padEnd(LONG, "."));
      feed.event({ type: "failed", code: "RUN_ENDED", message: "" });
    },
    wait: (milliseconds) => (now += milliseconds),
  };
}

/** Reads until this has come, and resolves to it with all that came before. */
async function readUntil(socket: Socket, text: string): Promise<string> {
  const parts = [""];
  socket.setEncoding("utf8");
  for await (const part of socket) {
    parts.push(String(part));
    if (parts.slice(-2).join("").includes(text)) break;
  }
  return parts.join("");
}

/** So much happens that the system can hold no more for who does not read. */
async function stall({ happen, response }: Watched): Promise<void> {
  for (let count = 0; count < MANY; count++) {
    happen(`number ${count}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(response.writableNeedDrain).toBe(true);
}

test("no more than one message waits for who does not read, and reading again shows all that happened", async () => {
  const stalled = await watched();
  await stall(stalled);
  expect(stalled.response.writableLength).toBeLessThan(2 * LONG);
  const waiting = stalled.response.writableLength;
  await stall(stalled);
  expect(stalled.response.writableLength).toBe(waiting);

  stalled.happen("at last");
  const drained = once(stalled.response, "drain").then(() => stalled.happen("and on"));
  const read = await readUntil(stalled.socket, "and on");
  await drained;
  // In the snapshot that makes up for what was left out.
  expect(read.slice(read.lastIndexOf("event: snapshot"))).toContain("at last");
  expect(read.match(/event: snapshot/g)).toHaveLength(2);
});

test("the end of a run does not wait for who does not read", async () => {
  const stalled = await watched();
  await stall(stalled);
  await stalled.feed.close();
  expect(stalled.response.writableFinished).toBe(false);
});

test("who reads nothing for a minute is let go, and nobody is told anything then", async () => {
  const stalled = await watched();
  await stall(stalled);
  stalled.wait(59_000);
  stalled.happen("in time");
  expect(stalled.response.destroyed).toBe(false);
  stalled.wait(2_000);
  stalled.happen("too late");
  expect(stalled.response.destroyed).toBe(true);
  await expect.poll(() => stalled.feed.watchers).toBe(0);
});
