/** A TCP proxy before a coordinator that spoils downloads of data, and nothing else. It ends with the running test. */
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface Proxy {
  /** The coordinator's address by way of the proxy. */
  readonly url: string;
  /** The requests for data so far: each one's first line, and its Range if there is one. */
  readonly requests: readonly string[];
}

/**
 * @param spoil makes of the bytes of one download's next chunk those that arrive; undefined cuts the connection
 * @param ask makes of a request for data that which the coordinator gets
 */
export async function proxyBefore(
  url: string,
  spoil: (chunk: Buffer, download: number) => Buffer | undefined,
  ask = (request: string): string => request,
): Promise<Proxy> {
  const { hostname, port } = new URL(url);
  const requests: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((worker) => {
    const coordinator = connect(Number(port), hostname);
    for (const socket of [worker, coordinator]) {
      open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        open.delete(socket);
        worker.destroy();
        coordinator.destroy();
      });
    }
    let download: number | undefined;
    worker.once("data", (first) => {
      const text = first.toString("latin1");
      const isForData = text.startsWith("GET /data/");
      coordinator.write(isForData ? Buffer.from(ask(text), "latin1") : first);
      worker.pipe(coordinator);
      if (!isForData) return;
      const range = /^range: (.*)$/im.exec(text)?.[1];
      download = requests.push([text.split("\r\n")[0], ...(range === undefined ? [] : [range])].join(" ")) - 1;
    });
    coordinator.on("data", (chunk: Buffer) => {
      const passed = download === undefined ? chunk : spoil(chunk, download);
      if (passed === undefined) worker.destroy();
      else worker.write(passed);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}
