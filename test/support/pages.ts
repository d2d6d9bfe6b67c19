/** Pages of a run at a port of their own, of which no run takes workers. */
import { onTestFinished } from "vitest";
import { listen } from "../../coordinator/server/server.ts";
import type { Site } from "../../coordinator/server/edge.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";

/** Resolves to their address; they are there until the test ends. */
export async function servePages(mount: Site["mount"]): Promise<URL> {
  const limits = { maxConnections: 99, partialBytes: 1 << 20 };
  const server = await listen({ host: "127.0.0.1", port: 0, token: JoinToken.none, ...limits });
  onTestFinished(() => server.close());
  const nobody = { onConnection: () => ({ onFrame() {}, onBytes() {}, onClose() {} }), onRefused() {} };
  server.serve(nobody, { health: () => ({ alive: true, ready: true }), mount });
  return new URL(server.url.replace("ws", "http"));
}
