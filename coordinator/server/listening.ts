/** Has an HTTP server listen, and says where, or in words why it cannot. */
import type { Server, ServerOptions } from "node:http";
import type { AddressInfo } from "node:net";
import { LockstepError } from "../../shared/errors.ts";

/** Whoever sends no request, or takes longer for the TLS handshake, is cut off; milliseconds. */
export const REQUEST_DEADLINE = 10_000;
/** So is an HTTP connection on which nothing moves for so long; WebSockets have heartbeats of their own. */
const IDLE_DEADLINE = 60_000;

/** What a server is made with, so that those who say nothing don't take the places of others. */
export const deadlines: ServerOptions = {
  headersTimeout: REQUEST_DEADLINE,
  requestTimeout: REQUEST_DEADLINE,
  // Node looks for them every half a minute, by itself.
  connectionsCheckingInterval: 1_000,
};

/** Resolves to the authority of its URLs, HOST:PORT. Throws PORT_IN_USE or BIND_REFUSED. */
export async function listenAt(http: Server, host: string, port: number): Promise<string> {
  if (host.includes("%"))
    throw new LockstepError(
      "BIND_REFUSED",
      `cannot listen on ${host}: no URL can name an address with a zone`,
      "listen at :: or at another address of this machine",
    );
  http.timeout = IDLE_DEADLINE;
  await new Promise<void>((resolve, reject) => {
    http.once("error", (error: NodeJS.ErrnoException) => reject(bindError(error, host, port)));
    http.listen(port, host, resolve);
  });
  const address = http.address() as AddressInfo;
  return `${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
}

function bindError(error: NodeJS.ErrnoException, host: string, port: number): LockstepError {
  const cause = { cause: error };
  if (error.code === "EADDRINUSE") {
    const sentence = `port ${port} on ${host} is in use`;
    return new LockstepError("PORT_IN_USE", sentence, "choose another --port, or 0 for any free one", cause);
  }
  const sentence = `cannot listen on ${host}:${port}: ${error.message}`;
  return new LockstepError("BIND_REFUSED", sentence, "choose an address of this machine and a port above 1023", cause);
}
