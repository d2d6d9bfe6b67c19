/** Why there is no connection to a coordinator, in words that say what to do: for workers, and for who only asks how it does. */
import { LockstepError } from "./errors.ts";

/** Who asks for the connection. */
type Asking = "worker" | "machine";

/** A network error as the reason why there is no connection, or not yet. */
export function describe(error: NodeJS.ErrnoException, address: URL, asking: Asking = "worker"): string {
  switch (error.code) {
    case "ECONNREFUSED":
      return `nothing listens at ${address.host}`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the name ${address.hostname} is not known`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `${address.hostname} cannot be reached`;
    case "ECONNRESET":
      return address.protocol === "wss:"
        ? `${address.host} broke off the TLS connection; it may want another certificate of this ${asking} (--tls-cert)`
        : `${address.host} broke off the connection; if it uses TLS, give the address as wss://`;
    default:
      return `${address.host}: ${error.message.trim()}`;
  }
}

/** What to do about a certificate, by OpenSSL's code for what is wrong with it. */
const certificateProblems = (asking: Asking): Readonly<Record<string, readonly [sentence: string, hint: string]>> => ({
  CERT_HAS_EXPIRED: ["has expired", "renew it there, and check this machine's clock"],
  CERT_NOT_YET_VALID: ["is not valid yet", "check this machine's clock and the coordinator's"],
  ERR_TLS_CERT_ALTNAME_INVALID: ["is made out to another name", "connect to a name or address that it names"],
  ...Object.fromEntries(
    [
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "UNABLE_TO_GET_ISSUER_CERT",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "CERT_SIGNATURE_FAILURE",
      "CERT_UNTRUSTED",
      "INVALID_CA",
      "INVALID_PURPOSE",
    ].map((code) => [code, [`is not one that this ${asking} trusts`, "give the CA it was made by: --tls-ca FILE"]]),
  ),
});

/** What Node and OpenSSL say of a TLS connection that did not come about. */
interface TlsError extends NodeJS.ErrnoException {
  /** The other side's certificate, where its names are the problem. */
  readonly cert?: { readonly subjectaltname?: string };
}

/**
 * TLS_REFUSED where one side does not trust the other's certificate or there is no TLS at all, else undefined: other
 * errors may pass.
 */
export function untrusted(
  { code = "", message, cert }: TlsError,
  { protocol, host }: URL,
  asking: Asking = "worker",
): LockstepError | undefined {
  if (protocol !== "wss:") return undefined;
  const refused = (sentence: string, hint: string): LockstepError => new LockstepError("TLS_REFUSED", sentence, hint);
  const problem = certificateProblems(asking)[code];
  if (problem !== undefined) {
    const details = (cert?.subjectaltname ?? message).replaceAll(/[^ -~]/g, "").slice(0, 300);
    return refused(`the certificate of ${host} ${problem[0]} (${details})`, problem[1]);
  }
  if (code.endsWith("ALERT_CERTIFICATE_REQUIRED"))
    return refused(`${host} wants a certificate of this ${asking}`, "give one with --tls-cert FILE and --tls-key FILE");
  if (/^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA)/.test(code))
    return refused(
      `${host} did not take this ${asking}'s certificate (${code})`,
      "give one of the CA that it was given",
    );
  if (!["EPROTO", "ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG"].includes(code)) return undefined;
  return refused(`${host} does not speak TLS`, "give the address as ws://");
}
