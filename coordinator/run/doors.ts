/** Where workers connect: those from elsewhere, and those that the run starts itself. */
import { randomBytes } from "node:crypto";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { listen } from "../server/server.ts";
import type { ListenOptions, Server } from "../server/server.ts";

/** A port that listens, and what whoever comes to it must know. */
interface Door {
  readonly server: Server;
  readonly token: JoinToken;
}

export interface Doors {
  readonly outer: Door;
  /** For the workers that the run starts; the other one where it starts none. */
  readonly own: Door;
}

/**
 * Opens them; they are closed with `cleanUp`. Throws PORT_IN_USE or BIND_REFUSED.
 *
 * The run's own workers have a loopback port of their own, with a token that nobody else has: so nobody passes for one of them.
 * And where there is TLS, the certificate is made out to other names, and they have none to show.
 */
export async function openDoors(
  options: ListenOptions,
  localWorkers: number,
  cleanUp: AsyncDisposableStack,
): Promise<Doors> {
  const open = async (at: ListenOptions): Promise<Door> => {
    const server = cleanUp.adopt(await listen(at), (opened) => opened.close());
    return { server, token: at.token };
  };
  const outer = await open(options);
  if (localWorkers === 0) return { outer, own: outer };
  const { maxConnections, partialBytes } = options;
  const token = JoinToken.from(randomBytes(24).toString("base64url"), "memory");
  return { outer, own: await open({ host: "127.0.0.1", port: 0, token, maxConnections, partialBytes, isOwn: true }) };
}
