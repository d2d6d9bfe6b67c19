/**
 * `/data/SHA256`: the run's dataset for workers that lack it. What is served is what the run itself reads, by its
 * name: the training part, the test part, and the text that names both (shared/data/open.ts). No path of a file is ever
 * asked for. `Range: bytes=N-` goes on after a cut.
 */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { contentBytes, contentLength } from "../../shared/data/dataset.ts";
import type { Dataset } from "../../shared/data/dataset.ts";
import { namesOf } from "../../shared/data/open.ts";
import { LockstepError } from "../../shared/errors.ts";
import { fail } from "../server/answers.ts";
import type { Pages } from "../server/edge.ts";
import type { RunView } from "./view.ts";

/** The others come again: so many share the line at a time. */
const MOST_DOWNLOADS = 8;
/** Between two chunks the training has its turn. */
const CHUNK = 256 * 1024;

interface Content {
  readonly size: number;
  /** Follow one another; each is valid until the next one. */
  readonly blocks: Iterable<Uint8Array>;
}

export function dataPages({ data: { sha256, source } }: RunView): (pages: Pages) => void {
  const names = Buffer.from(namesOf(source));
  const contents = new Map<string, () => Content>([[sha256, () => ({ size: names.length, blocks: [names] })]]);
  const offer = (part: Dataset): unknown =>
    contents.set(part.sha256, () => {
      const content = part.transfer();
      return { size: contentLength(content), blocks: contentBytes(content) };
    });
  offer(source.train);
  if (source.test !== undefined) offer(source.test);
  let downloads = 0;
  return (pages) =>
    pages.get("/data/:sha256", async (context) => {
      const content = contents.get(context.req.param("sha256"))?.();
      if (content === undefined) return fail(context, 404, unknown);
      const { outgoing } = context.env;
      const start = startOf(context.req.header("range"));
      // Who asks only how long it is takes nothing from the others.
      if (context.req.method === "HEAD") {
        outgoing.writeHead(...headOf(content, start)).end();
        return RESPONSE_ALREADY_SENT;
      }
      if (downloads >= MOST_DOWNLOADS) {
        context.header("retry-after", "1");
        return fail(context, 503, busy);
      }
      downloads += 1;
      try {
        await send(outgoing, content, start);
      } finally {
        downloads -= 1;
      }
      return RESPONSE_ALREADY_SENT;
    });
}

/** Where a download begins: of ranges, only those to the end are known, and others mean the whole. */
const startOf = (range = ""): number => Number(/^bytes=(\d{1,15})-$/.exec(range)?.[1] ?? 0);

/** Status and headers of the answer from `start` on. */
function headOf({ size }: Content, start: number): [status: 200 | 206 | 416, headers: OutgoingHttpHeaders] {
  if (start > size) return [416, { "content-range": `bytes */${size}`, "content-length": 0 }];
  const headers = {
    "content-type": "application/octet-stream",
    "content-length": size - start,
    "cache-control": "private, immutable",
  };
  return start === 0 ? [200, headers] : [206, { ...headers, "content-range": `bytes ${start}-${size - 1}/${size}` }];
}

async function send(response: ServerResponse, content: Content, start: number): Promise<void> {
  const [status, headers] = headOf(content, start);
  response.writeHead(status, headers);
  const chunks = status === 416 ? [] : chunksOf(content.blocks, start);
  // One that goes away has cut the connection, which is all there is to say.
  await pipeline(Readable.from(chunks), response).catch(() => response.destroy());
}

/** The bytes from `start` on, copied, since a block is gone when the next one is read. */
function* chunksOf(blocks: Iterable<Uint8Array>, start: number): Generator<Buffer> {
  let skip = start;
  for (const block of blocks) {
    for (let at = Math.min(skip, block.length); at < block.length; at += CHUNK)
      yield Buffer.from(block.subarray(at, at + CHUNK));
    skip = Math.max(0, skip - block.length);
  }
}

const unknown = new LockstepError(
  "DATA_MISSING",
  "this run has no data of that name",
  "the coordinator may have begun another run: connect again",
);
const busy = new LockstepError(
  "CONNECTION_REFUSED",
  `${MOST_DOWNLOADS} workers are fetching data`,
  "come again in a second",
);
