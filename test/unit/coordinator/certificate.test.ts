/** A certificate whose files are written anew while a server listens with it. */
import { once } from "node:events";
import { copyFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { Certificate } from "../../../coordinator/server/certificate.ts";
import { listen } from "../../../coordinator/server/server.ts";
import { JoinToken } from "../../../shared/protocol/handshake.ts";
import { Authority, hasOpenssl } from "../../support/certificates.ts";
import type { Pair } from "../../support/certificates.ts";
import { temporaryFolder } from "../../support/files.ts";

/** A server with a certificate named `first`, and what changes its files and tells what it then shows. */
async function serverWithCertificate() {
  const folder = await temporaryFolder();
  const authority = new Authority(folder, "authority");
  const files: Pair = { cert: join(folder, "in-use.pem"), key: join(folder, "in-use.key") };
  const put = async (part: keyof Pair, pair: Pair): Promise<void> => copyFile(pair[part], files[part]);
  const first = authority.issue("first");
  await put("cert", first);
  await put("key", first);
  const certificate = new Certificate(files);
  const place = { host: "127.0.0.1", port: 0, token: JoinToken.none, maxConnections: 9, partialBytes: 1 << 20 };
  const server = await listen({ ...place, tls: certificate.material });
  onTestFinished(() => server.close());
  const failures: string[] = [];
  const unwatch = certificate.watch({
    onRenewed: (material) => server.renew(material),
    onFailure: ({ code, message }) => failures.push(`${code} ${message}`),
    every: 50,
  });
  onTestFinished(unwatch);
  const { hostname, port } = new URL(server.url);
  const shown = async (): Promise<string | string[]> => {
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return CN!;
  };
  return { authority, files, put, shown, failures };
}

describe("a certificate that is renewed", { skip: !hasOpenssl }, () => {
  it("is shown to who connects from then on", async () => {
    const { authority, put, shown, failures } = await serverWithCertificate();
    expect(await shown()).toBe("first");
    const second = authority.issue("second");
    await put("cert", second);
    await put("key", second);
    await expect.poll(shown).toBe("second");
    expect(failures).toEqual([]);
  });

  it("is left alone while it cannot be used, which is said once for each time the files change", async () => {
    const { authority, files, put, shown, failures } = await serverWithCertificate();
    await put("cert", authority.issue("second"));
    await expect.poll(() => failures).toHaveLength(1);
    expect(failures[0]).toBe(`TLS_INVALID the key ${files.key} does not belong to the certificate ${files.cert}`);
    await rm(files.key);
    await expect.poll(() => failures).toHaveLength(2);
    expect(failures[1]).toBe(`TLS_INVALID ${files.key}: no such file`);
    await writeFile(files.key, "nothing");
    await expect.poll(() => failures).toHaveLength(3);
    expect(await shown()).toBe("first");
  });
});
