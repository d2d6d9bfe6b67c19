/** Why there is no connection to a coordinator, in words that say what to do. */
import type { IncomingMessage } from "node:http";
import { REFUSAL_HEADER } from "../shared/protocol/messages.ts";

/** An HTTP answer where a WebSocket was asked for. */
export function describeAnswer({ statusCode, headers }: IncomingMessage, address: URL): string {
  const reason = headers[REFUSAL_HEADER];
  // From the network to a terminal: nothing but printable characters, and not many.
  if (typeof reason === "string") return `refused for now: ${reason.replaceAll(/[^ -~]/g, "").slice(0, 300)}`;
  return `${address.host} answered with HTTP status ${statusCode} where a coordinator opens a WebSocket: either it is none, or a proxy before it does not pass upgrades on`;
}
