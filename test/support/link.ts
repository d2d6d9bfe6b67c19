/** A connection of which nothing is known but that it is there, and that nobody cuts. */
import type { Connection } from "../../coordinator/server/connection.ts";

export const unknownLink: Pick<Connection, "link" | "ping" | "cut"> = {
  link: () => ({ address: "", bytesSent: 0, bytesReceived: 0, roundTrip: undefined, load: undefined }),
  ping() {},
  cut(reason) {
    throw new Error(reason);
  },
};
