/** wss:// with real processes: a run over TLS, certificates of clients, and what is said of certificates that don't do. */
import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { listen } from "../../coordinator/server/server.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { Authority, hasOpenssl } from "../support/certificates.ts";
import type { Pair } from "../support/certificates.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

const secret = "correct-horse-battery-staple";
const own = ({ cert, key }: Pair): string[] => ["--tls-cert", cert, "--tls-key", key];

async function place(): Promise<{ folder: string; authority: Authority }> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  return { folder, authority: new Authority(folder, "authority") };
}

const run = (command: "train" | "coordinator", folder: string, ...more: string[]): Lockstep =>
  lockstep([command, "--data", "digits", "--epochs", "2", "--batch", "30", ...asEvents, ...more], folder, {
    LOCKSTEP_TOKEN: secret,
  });

const joining = (url: string, ...more: string[]): Lockstep =>
  worker([url, "--patience", "1", ...more], { LOCKSTEP_TOKEN: secret });

describe("TLS, with certificates made by the openssl command,", { skip: !hasOpenssl }, () => {
  test("carries a run to the same bits, with local workers too, and takes no connection without it", async () => {
    const { folder, authority } = await place();
    const { parametersSha256 } = await run("train", folder, "--name", "plain").result();
    const server = own(authority.issue("server"));
    // The certificate is not made out to what local workers connect to, and they have none to show.
    const elsewhere = own(authority.issue("elsewhere", "DNS:trainer.example"));
    const local = run("train", folder, "--name", "local", ...elsewhere, "--tls-ca", authority.ca);
    expect((await local.event("listening")).url).toMatch(/^wss:/);
    expect((await local.result()).parametersSha256).toBe(parametersSha256);

    const coordinator = run("coordinator", folder, "--name", "remote", ...server);
    const { url } = await coordinator.event("listening");
    expect(url).toMatch(/^wss:\/\/127\.0\.0\.1:\d+$/);
    expect(await lockstep(["health", url, "--tls-ca", authority.ca]).finished).toMatchObject({
      code: 0,
      stdout: "ok\n",
    });
    const [untrusted, withoutTls] = await Promise.all([
      lockstep(["health", url]).finished,
      lockstep(["doctor", url.replace("wss:", "ws:")]).finished,
    ]);
    expect(untrusted).toMatchObject({ code: 1, stdout: "" });
    expect(untrusted.stderr).toMatch(
      /is not one that this machine trusts \(.*\) \[TLS_REFUSED\]\n {2}what to do: give the CA it was made by: --tls-ca/,
    );
    expect(withoutTls.stdout).toMatch(
      /^failure +coordinator +.* broke off the connection; if it uses TLS, give the address as/m,
    );
    const plain = await joining(url.replace("wss:", "ws:")).finished;
    expect(plain.code).toBe(1);
    expect(plain.stderr).toMatch(/broke off the connection; if it uses TLS, give the address as wss:/);
    const remote = joining(url, "--tls-ca", authority.ca);
    expect((await coordinator.result()).parametersSha256).toBe(parametersSha256);
    expect((await remote.finished).code).toBe(0);
  });

  test("ends a worker at once that may not trust the coordinator, with the reason", async () => {
    const { folder, authority } = await place();
    const stranger = new Authority(folder, "stranger");
    const refusals: readonly [what: Pair, flags: string[], says: RegExp][] = [
      [authority.issue("good"), [], /is not one that this worker trusts \(.*--tls-ca/s],
      [authority.issue("good"), ["--tls-ca", stranger.ca], /is not one that this worker trusts/],
      [
        authority.issue("named", "DNS:trainer.example"),
        ["--tls-ca", authority.ca],
        /another name \(.*trainer\.example/,
      ],
    ];
    for (const [index, [pair, flags, says]] of refusals.entries()) {
      const { url } = await run("coordinator", folder, "--name", `r${index}`, ...own(pair)).event("listening");
      const { code, stdout, stderr } = await joining(url, ...flags).finished;
      expect(code).toBe(1);
      expect(stderr).toMatch(says);
      expect(stderr).toContain("[TLS_REFUSED]");
      expect(stdout).not.toContain("trying again");
    }
    // No coordinator starts with one that has expired, but one that runs for months may come to it.
    const { cert, key } = authority.issue("old", "IP:127.0.0.1", -1);
    const tls = { cert: await readFile(cert), key: await readFile(key) };
    const server = await listen({
      host: "127.0.0.1",
      port: 0,
      token: JoinToken.none,
      maxConnections: 9,
      partialBytes: 1 << 20,
      tls,
    });
    onTestFinished(() => server.close());
    const expired = await joining(server.url, "--tls-ca", authority.ca).finished;
    expect(expired.stderr).toMatch(/the certificate of 127\.0\.0\.1:\d+ has expired .*\[TLS_REFUSED\]/);

    const { url } = await run("coordinator", folder, "--name", "plain").event("listening");
    const secure = url.replace("ws:", "wss:");
    for (const asking of [joining(secure), lockstep(["health", secure])])
      expect((await asking.finished).stderr).toMatch(
        /does not speak TLS \[TLS_REFUSED\]\n {2}what to do: give the address as ws:/,
      );
  });

  test("says in a sentence of whoever asks for a connection without it", async () => {
    const { authority } = await place();
    const { cert, key } = authority.issue("server");
    const tls = { cert: await readFile(cert), key: await readFile(key) };
    const doors = { host: "127.0.0.1", port: 0, token: JoinToken.none, maxConnections: 9, partialBytes: 1 << 20 };
    const server = await listen({ ...doors, tls });
    onTestFinished(() => server.close());
    const { promise, resolve } = Promise.withResolvers<string>();
    server.serve({ onConnection: () => expect.unreachable(), onRefused: (_, { message }) => resolve(message) });
    connect(Number(new URL(server.url).port), "127.0.0.1").end("GET / HTTP/1.1\r\n\r\n");
    expect(await promise).toBe("no TLS connection came about: it was asked for one without TLS");
  });

  test("with a CA takes only workers that have a certificate of it", async () => {
    const { folder, authority } = await place();
    const server = own(authority.issue("server"));
    const clients = new Authority(folder, "clients");
    const coordinator = run("coordinator", folder, ...server, "--tls-ca", clients.ca);
    const { url } = await coordinator.event("listening");
    const trusting = ["--tls-ca", authority.ca];
    const none = await joining(url, ...trusting).finished;
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/wants a certificate of this worker \[TLS_REFUSED\]\n {2}what to do: .*--tls-cert/);
    const foreign = await joining(url, ...trusting, ...own(authority.issue("foreign"))).finished;
    expect(foreign.code).toBe(1);
    expect(foreign.stderr).toMatch(/broke off the TLS connection; it may want another certificate of this worker/);
    const told = await coordinator.event("refused");
    expect(told).toMatchObject({ worker: "127.0.0.1", code: "TLS_REFUSED" });
    const member = joining(url, ...trusting, ...own(clients.issue("member")));
    expect((await coordinator.result()).outcome).toBe("completed");
    expect((await member.finished).code).toBe(0);
  });

  test("is refused before anything starts with files that don't fit, on both sides", async () => {
    const { folder, authority } = await place();
    const [one, other] = [authority.issue("one"), authority.issue("other")];
    const expired = authority.issue("old", "IP:127.0.0.1", -1);
    await writeFile(join(folder, "empty.pem"), "");
    const mistakes: readonly [string[], RegExp][] = [
      [own({ ...one, key: other.key }), /other\.key does not belong to the certificate .*one\.pem/],
      [own(expired), /old\.pem expired on /],
      [own({ ...one, cert: join(folder, "empty.pem") }), /empty\.pem holds no certificate/],
      [[...own(one), "--tls-ca", join(folder, "none.pem")], /none\.pem: no such file/],
    ];
    for (const [flags, says] of mistakes)
      for (const process of [run("train", folder, ...flags), lockstep(["worker", "wss://127.0.0.1:9", ...flags])]) {
        const { code, error } = await process.finished;
        expect(code).toBeGreaterThan(0);
        expect(error).toMatch(says);
        expect(error).toContain("[TLS_INVALID]");
      }
  });
});
