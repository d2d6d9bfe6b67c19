/** Files of a TLS connection: every mistake is named with its file before anything listens or connects. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readTls } from "../../shared/tls.ts";
import type { TlsFiles } from "../../shared/tls.ts";
import { Authority, hasOpenssl } from "../support/certificates.ts";
import { refusal } from "../support/errors.ts";
import { configFolder } from "../support/config.ts";

describe("TLS files, made with the openssl command,", { skip: !hasOpenssl }, () => {
  // A while after the certificates are made, whose times are whole seconds.
  const now = new Date(Date.now() + 60_000);
  const days = (count: number): Date => new Date(now.getTime() + count * 86_400_000);
  const folder = hasOpenssl ? configFolder() : "";
  const authority = hasOpenssl ? new Authority(folder, "authority") : undefined;
  const pair = authority?.issue("server") ?? { cert: "", key: "" };
  const other = authority?.issue("other") ?? { cert: "", key: "" };

  it("are read where they fit together", () => {
    const ca = authority!.ca;
    const material = readTls({ ...pair, ca }, now);
    expect(material.cert).toEqual(readFileSync(pair.cert));
    expect(material.key).toEqual(readFileSync(pair.key));
    expect(material.ca).toEqual(readFileSync(ca));
    expect(readTls({ ca }, now)).toEqual({ ca: readFileSync(ca) });
    expect(readTls({}, now)).toEqual({});
  });

  it.each<[string, () => TlsFiles, Date, RegExp]>([
    [
      "a certificate without its key",
      () => ({ cert: pair.cert }),
      now,
      /TLS certificate \(.*server\.pem\) needs its key/,
    ],
    [
      "a key without its certificate",
      () => ({ key: pair.key }),
      now,
      /TLS key \(.*server\.key\) needs its certificate/,
    ],
    ["a file that is not there", () => ({ ...pair, cert: "/nowhere.pem" }), now, /^\/nowhere\.pem: no such file/],
    ["a CA that is not there", () => ({ ca: "/nowhere.pem" }), now, /^\/nowhere\.pem: no such file/],
    ["a folder", () => ({ ...pair, key: folder }), now, /EISDIR/],
    ["another's key", () => ({ ...pair, key: other.key }), now, /key .*other\.key does not belong to .*server\.pem/],
    ["the two swapped", () => ({ cert: pair.key, key: pair.cert }), now, /server\.key holds no certificate/],
    ["a certificate as key", () => ({ ...pair, key: pair.cert }), now, /server\.pem holds no private key/],
    ["an expired certificate", () => pair, days(30), /server\.pem expired on /],
    ["an expired CA", () => ({ ca: authority!.ca }), days(30), /authority\.pem expired on /],
    ["a certificate of tomorrow", () => pair, days(-30), /server\.pem is not valid before /],
  ])("are refused: %s", (_what, files, at, says) => {
    const error = refusal(() => readTls(files(), at));
    expect(error.code).toBe("TLS_INVALID");
    expect(error.message).toMatch(says);
    expect(error.hint).not.toBe("");
  });

  it("are refused without a word of their content", () => {
    const file = join(folder, "mixed.pem");
    writeFileSync(file, "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n");
    const error = refusal(() => readTls({ ca: file }, now));
    expect(error.message).toContain("mixed.pem holds no certificate");
    expect(error.message + error.hint).not.toContain("c2VjcmV0");
  });
});
