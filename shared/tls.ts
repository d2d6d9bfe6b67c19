/**
 * The files of a TLS connection, read and checked before anything listens or connects, so that a mistake is named with its
 * file instead of ending handshakes without a word.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { errnoOf } from "./errno.ts";
import { LockstepError } from "./errors.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  /** This side's certificate, with intermediate ones behind it, and its key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Certificates that the other side's must lead to. */
  readonly ca?: string | undefined;
}

/** The contents of those files, checked. */
export interface TlsMaterial {
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly ca?: Buffer;
}

/**
 * Reads the files. Throws TLS_INVALID for one that cannot be read or is not what it should be, a certificate that is not
 * valid at `now`, and a key of another certificate.
 */
export function readTls({ cert, key, ca }: TlsFiles, now: Date): TlsMaterial {
  if ((cert === undefined) !== (key === undefined)) {
    const [given, missing] = cert === undefined ? ["key", "certificate"] : ["certificate", "key"];
    throw invalid(`a TLS ${given} (${cert ?? key}) needs its ${missing}`, "give both --tls-cert and --tls-key");
  }
  const own = cert === undefined ? {} : pairOf(cert, key!, now);
  return ca === undefined ? own : { ...own, ca: certificatesOf(ca, now).pem };
}

function pairOf(cert: string, key: string, now: Date): TlsMaterial {
  const { pem, first } = certificatesOf(cert, now);
  const secret = contentOf(key);
  const privateKey = attempt(
    () => createPrivateKey(secret),
    () => invalid(`${key} holds no private key in PEM form, or one under a passphrase`, "give the key without one"),
  );
  if (!first.checkPrivateKey(privateKey))
    throw invalid(
      `the key ${key} does not belong to the certificate ${cert}`,
      "give the key the certificate was made with",
    );
  // What else OpenSSL may object to, such as a key that is too short.
  attempt(
    () => createSecureContext({ cert: pem, key: secret }),
    (cause) => invalid(`${cert} and ${key} cannot be used: ${String(cause)}`, "make a certificate with a newer key"),
  );
  return { cert: pem, key: secret };
}

function certificatesOf(file: string, now: Date): { pem: Buffer; first: X509Certificate } {
  const pem = contentOf(file);
  const first = attempt(
    () => new X509Certificate(pem),
    () => invalid(`${file} holds no certificate in PEM form`, "it begins with -----BEGIN CERTIFICATE-----"),
  );
  if (new Date(first.validTo) < now) throw invalid(`the certificate ${file} expired on ${first.validTo}`, "renew it");
  if (new Date(first.validFrom) > now)
    throw invalid(`the certificate ${file} is not valid before ${first.validFrom}`, "check this machine's clock");
  return { pem, first };
}

function contentOf(file: string): Buffer {
  return attempt(
    () => readFileSync(file),
    (cause) =>
      invalid(
        `${file}: ${errnoOf(cause) === "ENOENT" ? "no such file" : (errnoOf(cause) ?? String(cause))}`,
        "check the path",
      ),
  );
}

function attempt<Value>(action: () => Value, refusal: (cause: unknown) => LockstepError): Value {
  try {
    return action();
  } catch (cause) {
    throw refusal(cause);
  }
}

const invalid = (sentence: string, hint: string): LockstepError => new LockstepError("TLS_INVALID", sentence, hint);
