/**
 * `/data/SHA256`: the run's dataset for workers that lack it. What is served is what the run itself has in memory, by its
 * name: the training part, the test part, and the text that names both (shared/data/open.ts). No path of a file is ever
 * asked for. `Range: bytes=N-` goes on after a cut.
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { contentBytes } from "../../shared/data/dataset.ts";
import type { Dataset } from "../../shared/data/dataset.ts";
import { namesOf } from "../../shared/data/open.ts";
import { LockstepError } from "../../shared/errors.ts";
import { fail } from "./answers.ts";
import type { Pages } from "./routes.ts";
import type { RunView } from "./view.ts";

/** The others come again: so many share the line at a time. */
const MOST_DOWNLOADS = 8;
/** Between two chunks the training has its turn. */
const CHUNK = 256 * 1024;

export function dataPages({ data }: RunView): (pages: Pages) => void {
  const contents = new Map<string, () => readonly Uint8Array[]>([[data.sha256, () => [Buffer.from(namesOf(data))]]]);
  const offer = (part: Dataset): unknown => contents.set(part.sha256, () => contentBytes(part.transfer()));
  offer(data.train);
  if (data.test !== undefined) offer(data.test);
  let downloads = 0;
  return (pages) =>
    pages.get("/data/:sha256", async (context) => {
      const content = contents.get(context.req.param("sha256"))?.();
      if (content === undefined) return fail(context, 404, unknown);
      if (downloads >= MOST_DOWNLOADS) {
        context.header("retry-after", "1");
        return fail(context, 503, busy);
      }
      downloads += 1;
      try {
        await send(context.env.outgoing, content, startOf(context.req.header("range")));
      } finally {
        downloads -= 1;
      }
      return RESPONSE_ALREADY_SENT;
    });
}

/** Where a download begins: of ranges, only those to the end are known, and others mean the whole. */
const startOf = (range = ""): number => Number(/^bytes=(\d{1,15})-$/.exec(range)?.[1] ?? 0);

async function send(response: ServerResponse, content: readonly Uint8Array[], start: number): Promise<void> {
  const size = content.reduce((sum, { length }) => sum + length, 0);
  if (start > size) {
    response.writeHead(416, { "content-range": `bytes */${size}` }).end();
    return;
  }
  const partial = start === 0 ? {} : { "content-range": `bytes ${start}-${size - 1}/${size}` };
  response.writeHead(start === 0 ? 200 : 206, {
    "content-type": "application/octet-stream",
    "content-length": size - start,
    "cache-control": "private, immutable",
    ...partial,
  });
  // One that goes away has cut the connection, which is all there is to say.
  await pipeline(Readable.from(chunksOf(content, start)), response).catch(() => response.destroy());
}

function* chunksOf(content: readonly Uint8Array[], start: number): Generator<Buffer> {
  let skip = start;
  for (const { buffer, byteOffset, length } of content) {
    for (let at = Math.min(skip, length); at < length; at += CHUNK)
      yield Buffer.from(buffer, byteOffset + at, Math.min(CHUNK, length - at));
    skip = Math.max(0, skip - length);
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
