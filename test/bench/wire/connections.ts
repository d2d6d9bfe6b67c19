/** Lockstep's connections without the cores that decide what is sent: the production server, client, codec and checks. */
import { listen } from "../../../coordinator/server/server.ts";
import { JoinToken } from "../../../shared/protocol/handshake.ts";
import { Inbox } from "../../../shared/protocol/inbox.ts";
import type { CoordinatorMessage, WorkerMessage } from "../../../shared/protocol/messages.ts";
import type { Place, Room } from "../../../shared/protocol/frame-reader.ts";
import type { Outbox } from "../../../shared/protocol/outbox.ts";
import { checkCoordinatorMessage, checkWorkerMessage } from "../../../shared/protocol/validate.ts";
import { coordinatorAddress } from "../../../shared/address.ts";
import { connect } from "../../../worker/client.ts";
import { Arrivals } from "./path.ts";

const lost = (reason: string): never => {
  throw new Error(`a connection was lost during the benchmark: ${reason}`);
};

const room = (place: Place | undefined): Room | undefined => place && { ...place, over: () => {} };

interface Connections {
  readonly url: string;
  /** In the order in which they connected; resolves when all have. */
  readonly outboxes: Promise<readonly Outbox[]>;
  close(): void;
}

/** @param onMessage what came from the peer with that index among the outboxes; @param roomFor where a section goes that is about to */
export async function acceptPeers(
  bytes: number,
  peers: number,
  onMessage: (message: WorkerMessage, section: Uint8Array, index: number) => void,
  roomFor: (message: WorkerMessage, length: number, index: number) => Place | undefined,
): Promise<Connections> {
  const connected = new Arrivals();
  const outboxes: Outbox[] = [];
  let closing = false;
  const server = await listen({
    host: "127.0.0.1",
    port: 0,
    token: JoinToken.none,
    maxConnections: peers,
    partialBytes: bytes,
  });
  server.serve({
    onConnection(connection) {
      connection.proven();
      const index = outboxes.push(connection.outbox) - 1;
      connected.arrived();
      const inbox = new Inbox(checkWorkerMessage);
      return {
        roomFor: (header, length) => room(roomFor(inbox.peek(header)!, length, index)),
        onFrame(frame) {
          const { message, section } = inbox.read(frame);
          onMessage(message, section, index);
        },
        onBytes() {},
        onClose: (reason) => void (closing || lost(reason)),
      };
    },
    onRefused: (_address, error) => lost(error.message),
  });
  return {
    url: server.url,
    outboxes: connected.expect(peers).then(() => outboxes),
    close() {
      closing = true;
      void server.close();
    },
  };
}

/** Resolves once connected; the process ends with its connection. */
export function joinParent(
  url: string,
  onMessage: (message: CoordinatorMessage, section: Uint8Array, outbox: Outbox) => void,
  roomFor: (message: CoordinatorMessage, length: number) => Place | undefined,
): Promise<void> {
  return new Promise((resolve) => {
    const inbox = new Inbox(checkCoordinatorMessage);
    const { outbox } = connect(
      coordinatorAddress(url),
      {},
      {
        onOpen: resolve,
        onUnusable: (error) => lost(error.message),
        onBytes() {},
        onClose: () => process.exit(0),
        roomFor: (header, length) => room(roomFor(inbox.peek(header)!, length)),
        onFrame(frame) {
          const { message, section } = inbox.read(frame);
          onMessage(message, section, outbox);
        },
      },
    );
  });
}
