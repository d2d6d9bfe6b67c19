/**
 * A watcher that stops reading the feed, over a real connection: what waits for it is bounded, and it is made up for or let go.
 * And workers that say too much: what all watchers are told is bounded.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { CoordinatorEffect } from "../../../coordinator/core/events.ts";
import type { Work } from "../../../coordinator/core/state.ts";
import { Feed } from "../../../coordinator/dashboard/feed.ts";
import { RunHistory } from "../../../coordinator/dashboard/history.ts";
import type { Lane, RunFacts, RunUpdate, StepTrace } from "../../../coordinator/dashboard/page/messages.ts";
import type { RunView } from "../../../coordinator/http/view.ts";
import type { EffectObserver } from "../../../coordinator/runtime.ts";
import { runId, stepNumber, workerId } from "../../../shared/ids.ts";
import { MOST_CALLS } from "../../../shared/protocol/messages.ts";
import type { EngineCall } from "../../../shared/protocol/messages.ts";

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
  /** The coordinator does something that takes a millisecond. */
  readonly perform: (effect: CoordinatorEffect) => void;
}

async function watched(): Promise<Watched> {
  let now = 0;
  const history = new RunHistory();
  let observer: EffectObserver = () => {};
  const run = {
    state: { members: new Map(), audits: 0 },
    now: () => now,
    profile: () => ({}),
    observe: (tracer: EffectObserver) => {
      observer = tracer;
      return () => {};
    },
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
    perform: (effect) => observer(effect, now++, now),
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

/** The step as the page gets it, in which so many workers say so often for each of so many nodes what their threads did. */
async function traced({ workers = 1, nodes = 1, repeats = 1, threads = MOST_CALLS }): Promise<StepTrace> {
  const { feed, perform, wait, socket } = await watched();
  const owners = Array.from({ length: workers }, (_, index) => workerId(`w${index}`));
  const name = { kind: "train", step: stepNumber(0) } as const;
  const work = { name, pieces: new Map([["0-1", { owners }]]) } as unknown as Work;
  perform({ type: "open", work });
  // Each by another thread.
  const calls = Array.from({ length: threads }, (_, thread): EngineCall => [thread, 1, 2, 3, 4]);
  const segment = { offset: 0, length: 64, total: 64, checksum: 0 };
  const said = { type: "partial", run: runId("run"), work: name, computeMicroseconds: 1, segment } as const;
  for (const worker of owners)
    for (let count = 0; count < nodes * repeats; count++) {
      wait(1);
      const start = count % nodes;
      perform({ type: "receive", worker, partial: { ...said, node: [start, start + 1], timing: { sent: 5, calls } } });
    }
  perform({ type: "commit", work });
  feed.event({ type: "failed", code: "RUN_ENDED", message: "" });
  const read = await readUntil(socket, "}]}\n\n");
  const [, update] = /event: update\ndata: (.*)\n/.exec(read)!;
  return (JSON.parse(update!) as RunUpdate).traces[0]!;
}

const countOf = (lanes: readonly Lane[]): number => lanes.reduce((sum, { spans }) => sum + spans.length, 0);

test("what a worker says of its work on a node is shown once, however often it says so", async () => {
  const [once, often] = [await traced({}), await traced({ repeats: 3 })];
  expect(often.lanes.slice(1)).toHaveLength(512);
  expect(countOf(often.lanes.slice(1))).toBe(countOf(once.lanes.slice(1)));
});

test("of a step no more is shown than can be sent, whatever workers say and however much", async () => {
  const one = await traced({ nodes: 5_000, threads: 1 });
  const all = await traced({ workers: 100, nodes: 2 });
  expect(countOf(one.lanes.slice(1))).toBe(4_096);
  // And what is guessed of workers whose own words have no room.
  expect(countOf(all.lanes.slice(1))).toBeLessThan(2 ** 16 + 4 * 100);
  const [{ name, spans }] = one.lanes as [Lane];
  expect([name, spans.at(-1)?.[0]]).toEqual(["coordinator", "update"]);
  // With a wait before each.
  expect(spans).toHaveLength(2 * (4_096 + 1));
});
