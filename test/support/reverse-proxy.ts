/** A reverse proxy before a coordinator, as people put one there for a name and TLS. It ends with the running test. */
import { createServer, request } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";

export interface ProxySettings {
  /** Hands on the Host that was asked for; else the coordinator sees its own address. */
  readonly keepsHost: boolean;
  /** Lets WebSockets through; else it forgets the header that asks for one, as proxies do that nobody told. */
  readonly upgrades: boolean;
}

/** @returns the port of the proxy on 127.0.0.1 */
export async function reverseProxyBefore(url: string, { keepsHost, upgrades }: ProxySettings): Promise<number> {
  const { hostname, port, host } = new URL(url);
  const forwarded = (asked: IncomingMessage): ReturnType<typeof request> => {
    const headers = { ...asked.headers, ...(keepsHost ? {} : { host }) };
    if (!upgrades) delete headers.upgrade;
    return request({ hostname, port, path: asked.url, method: asked.method, headers, agent: false });
  };
  const server = createServer((asked, response) => {
    const sent = forwarded(asked).on("response", (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
    });
    response.on("close", () => sent.destroy());
    asked.pipe(sent.on("error", () => response.destroy()));
  });
  server.on("upgrade", (asked: IncomingMessage, socket: Duplex, head: Buffer) => {
    const sent = forwarded(asked).on("error", () => socket.destroy());
    socket.on("error", () => sent.destroy());
    const answerWith = ({ statusCode, statusMessage, rawHeaders }: IncomingMessage): void => {
      const lines = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${rawHeaders[at + 1]}`] : []));
      socket.write([`HTTP/1.1 ${statusCode} ${statusMessage}`, ...lines, "", ""].join("\r\n"));
    };
    sent.on("upgrade", (answer, upstream: Duplex, rest: Buffer) => {
      answerWith(answer);
      socket.write(rest);
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
      socket.on("close", () => upstream.destroy());
      upstream.on("error", () => socket.destroy()).on("close", () => socket.destroy());
    });
    sent.on("response", (answer) => {
      answerWith(answer);
      answer.on("error", () => socket.destroy()).pipe(socket);
    });
    sent.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
