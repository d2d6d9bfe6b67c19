/** Where the two servers that there are listen, a coordinator's and that of a folder of runs, and how long someone who connects may say nothing. */
import { once } from "node:events";
import { connect } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { serveLibrary } from "../../../coordinator/dashboard/serve.ts";
import { listen } from "../../../coordinator/server/server.ts";
import { JoinToken } from "../../../shared/protocol/handshake.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";

const place = { host: "127.0.0.1", port: 0, token: JoinToken.from("correct-horse-battery-staple", "test") };

const servers = {
  "a coordinator": async () => {
    const server = await listen({ ...place, maxConnections: 9, partialBytes: 1 << 20 });
    server.serve({ onConnection: () => expect.unreachable(), onRefused: () => expect.unreachable() });
    return server;
  },
  "the dashboard of a folder": async () => serveLibrary({ ...place, runs: await temporaryFolder() }),
};

const unfinished = {
  nothing: "",
  "half a header": "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
  "half a body": "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\ntoken=",
};

it("refuses an address with a zone, which nobody could be told as a URL", async () => {
  const host = "fe80::1%lo";
  expect(await failureOf(() => listen({ ...place, host, maxConnections: 9, partialBytes: 1 << 20 }))).toMatchObject({
    code: "BIND_REFUSED",
    message: "cannot listen on fe80::1%lo: no URL can name an address with a zone",
  });
});

it("both cut off after ten seconds who has not sent a whole request", async () => {
  const cutOff = async (start: (typeof servers)[keyof typeof servers], said: string): Promise<number> => {
    const server = await start();
    onTestFinished(() => server.close());
    const { hostname, port } = new URL(server.url);
    const from = performance.now();
    const socket = connect(Number(port), hostname);
    onTestFinished(() => void socket.destroy());
    socket.write(said);
    await once(socket.resume(), "close");
    return (performance.now() - from) / 1000;
  };
  const all = Object.values(servers).flatMap((start) => Object.values(unfinished).map((said) => cutOff(start, said)));
  for (const seconds of await Promise.all(all)) {
    expect(seconds).toBeGreaterThan(9);
    expect(seconds).toBeLessThan(15);
  }
}, 60_000);
