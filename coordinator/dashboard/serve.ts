/** Serves the dashboard of a folder of runs: the same pages and the same rules of who may see them as at a coordinator's port. */
import { createServer } from "node:http";
import type { JoinToken } from "../../shared/protocol/handshake.ts";
import { httpEdge } from "../server/edge.ts";
import { Gate } from "../server/gate.ts";
import { deadlines, listenAt } from "../server/listening.ts";
import { Library } from "./library.ts";

export interface ServeOptions {
  /** Folder of run folders. */
  readonly runs: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly token: JoinToken;
}

const MOST_CONNECTIONS = 128;

/** Throws PORT_IN_USE or BIND_REFUSED. */
export async function serveLibrary({ runs, host, port, token }: ServeOptions): Promise<{
  readonly url: string;
  close(): Promise<void>;
}> {
  const library = new Library(runs);
  const site = {
    health: () => ({ alive: true, ready: true }),
    mount: (pages: Parameters<Library["mount"]>[0]) => library.mount(pages),
  };
  const http = createServer(deadlines, httpEdge(site, { host, token, tls: undefined }, new Gate(MOST_CONNECTIONS)));
  http.maxConnections = MOST_CONNECTIONS;
  const authority = await listenAt(http, host, port);
  return {
    url: `http://${authority}/`,
    async close() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
      await library.close();
    },
  };
}
