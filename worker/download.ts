/**
 * Fetches what a coordinator serves at `/data/SHA256` into a file, and goes on where it stopped when the connection is
 * cut. No more is written than the first answer says that there is. Whoever uses the file checks that it has that SHA-256.
 */
import { createWriteStream } from "node:fs";
import { request as plainRequest } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request as tlsRequest } from "node:https";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf } from "../shared/errno.ts";
import { LockstepError } from "../shared/errors.ts";
import type { JoinToken } from "../shared/protocol/handshake.ts";
import { WORKER_HEADER } from "../shared/protocol/messages.ts";
import type { TlsMaterial } from "../shared/tls.ts";
import { describe, untrusted } from "../shared/no-connection.ts";

/** A coordinator as a place to fetch from. */
export interface Source {
  /** Its ws:// or wss:// address. */
  readonly address: URL;
  readonly tls: TlsMaterial;
  readonly token: JoinToken;
  /** Ends downloads at once. */
  readonly signal: AbortSignal;
}

/** Nothing has come for so long: the connection is taken for dead. Milliseconds. */
const IDLE = 20_000;
/** So often in a row without a byte more. */
const MOST_FAILURES = 5;
const FIRST_PAUSE = 250;
/** While others fetch, a worker comes again so often. */
const MOST_BUSY = 600;

/**
 * Writes the content to `path`, anew.
 * @param onProgress told of bytes so far and of all, every now and then
 * @throws DATA_MISSING where it cannot be had, DISK_FAILED, TOKEN_REFUSED or TLS_REFUSED
 */
export async function download(
  source: Source,
  sha256: string,
  path: string,
  onProgress: (received: number, size: number) => void,
): Promise<void> {
  let received = 0;
  let size: number | undefined;
  let failures = 0;
  for (let busy = 0; ;) {
    const before = received;
    let reason: string;
    try {
      const response = await ask(source, sha256, received);
      const { statusCode: status = 0, headers } = response;
      if (status === 200 || status === 206) {
        // Whoever knows no ranges begins anew.
        const start = status === 200 ? 0 : received;
        const whole = start + Number(headers["content-length"]);
        const objection = objectionTo(headers, status === 200 ? undefined : start, whole, size);
        if (objection !== undefined) {
          response.destroy();
          throw unbounded(source, objection);
        }
        size = whole;
        const cut = await save(response, path, start, (bytes) => {
          received = start + bytes;
          onProgress(received, whole);
        });
        if (cut === undefined) return;
        throw cut;
      }
      // What it has to say is not read, however long that is.
      response.destroy();
      if (status === 401 || status === 404) throw refusal(source, status);
      if ((status === 503 || status === 429) && (busy += 1) < MOST_BUSY) {
        await sleep(1_000, undefined, { signal: source.signal });
        continue;
      }
      reason = `${source.address.host} answered with HTTP status ${status}`;
    } catch (error) {
      if (error instanceof LockstepError) throw error;
      const refused = untrusted(error as NodeJS.ErrnoException, source.address);
      if (refused !== undefined) throw refused;
      source.signal.throwIfAborted();
      reason = describe(error as NodeJS.ErrnoException, source.address);
    }
    failures = received > before ? 1 : failures + 1;
    if (failures > MOST_FAILURES)
      throw new LockstepError(
        "DATA_MISSING",
        `the run's data cannot be fetched from the coordinator: ${reason}`,
        "let this machine reach the coordinator's port over HTTP, or give it a copy of the data at the same path",
      );
    await sleep(Math.min(10_000, FIRST_PAUSE * 2 ** failures), undefined, { signal: source.signal });
  }
}

/**
 * Why an answer is not written to the disk, or undefined: Node ends it where its content-length says, and what all of it
 * comes to must be what the first answer said, or many short ones would go on for ever. The coordinator always says both lengths.
 * @param start where it should go on, undefined if it begins anew
 */
function objectionTo(
  { "content-range": range }: IncomingHttpHeaders,
  start: number | undefined,
  whole: number,
  size: number | undefined,
): string | undefined {
  if (Number.isNaN(whole)) return "does not say in a content-length how long its answer is";
  if (size !== undefined && whole !== size) return `said that the data has ${size} bytes, and then ${whole}`;
  if (start === undefined || range === `bytes ${start}-${whole - 1}/${whole}`) return undefined;
  // From the network to a terminal: nothing but printable characters, and not many.
  const said = range?.replaceAll(/[^ -~]/g, "").slice(0, 100) ?? "no content-range";
  return `was asked for the rest of ${whole} bytes from byte ${start} on, and sends ${said}`;
}

function ask({ address, tls, token, signal }: Source, sha256: string, start: number): Promise<IncomingMessage> {
  const url = new URL(`/data/${sha256}`, address);
  const secure = url.protocol === "wss:";
  url.protocol = secure ? "https:" : "http:";
  const headers = {
    [WORKER_HEADER]: "1",
    ...(token.isNone ? {} : { authorization: `Bearer ${token.derived("reader")}` }),
    ...(start === 0 ? {} : { range: `bytes=${start}-` }),
  };
  return new Promise((resolve, reject) => {
    const sent = (secure ? tlsRequest : plainRequest)(url, { ...tls, headers, signal, timeout: IDLE, agent: false });
    sent.once("timeout", () => sent.destroy(new Error(`nothing came for ${IDLE / 1000} s`)));
    sent.once("response", resolve).once("error", reject).end();
  });
}

/** Resolves to why the connection was cut, or undefined. What `onWritten` was told last is in the file. */
async function save(
  response: IncomingMessage,
  path: string,
  start: number,
  onWritten: (bytes: number) => void,
): Promise<Error | undefined> {
  const file = createWriteStream(path, start === 0 ? { flags: "w" } : { flags: "r+", start });
  const closed = new Promise<void>((resolve) => file.once("close", () => resolve()));
  let failed: NodeJS.ErrnoException | undefined;
  file.once("error", (error) => (failed = error));
  response.on("data", () => onWritten(file.bytesWritten));
  const cut = await pipeline(response, file).then(
    () => undefined,
    (error: Error) => error,
  );
  await closed;
  onWritten(file.bytesWritten);
  if (cut === undefined || failed !== cut || failed.syscall === undefined) return cut;
  throw new LockstepError(
    "DISK_FAILED",
    `cannot write ${path}: ${errnoOf(failed)}`,
    "make room, or name another folder for fetched data in the variable LOCKSTEP_CACHE",
    { cause: failed },
  );
}

const unbounded = ({ address }: Source, objection: string): LockstepError =>
  new LockstepError(
    "DATA_MISSING",
    `the run's data cannot be fetched: ${address.host} ${objection}`,
    "check what lies between this machine and the coordinator: a proxy must hand lengths and ranges on as they are; or give this machine a copy of the data at the same path",
  );

const refusal = ({ address }: Source, status: 401 | 404): LockstepError =>
  status === 401
    ? new LockstepError(
        "TOKEN_REFUSED",
        `${address.host} does not hand out data for this token`,
        "give the run's token",
      )
    : new LockstepError("DATA_MISSING", `${address.host} has no such data any more`, "start this worker again");
