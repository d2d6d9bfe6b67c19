/**
 * How both sides of a connection prove that they know the run's join token, without ever sending it:
 *
 *   coordinator → challenge { nonce C }
 *   worker      → hello     { …, nonce W, proof: HMAC-SHA-256(token, "lockstep 2 worker", C, W) }
 *   coordinator → welcome   { …, proof: HMAC-SHA-256(token, "lockstep 2 coordinator", C, W) }
 *
 * Both nonces are fresh for each connection and under both proofs, so that neither can be replayed; the roles are under
 * them, so that neither can be sent back as the other. Until its proof a worker hears nothing but the challenge or a
 * refusal, and a worker computes nothing before the coordinator's. Without a token the same messages go, over an empty
 * key. What this does not do: hide or seal what follows. Who can change bytes on the way can wait for the proofs to
 * pass; against those there is TLS.
 */
import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { LockstepError } from "../errors.ts";

/** Random bytes in a nonce; on the wire it is hex. */
export const NONCE_BYTES = 32;
/** Anyone who gets a worker to say hello can try tokens against its proof at leisure, so a token must be long. */
const SHORTEST_TOKEN = 16;
const LONGEST_TOKEN = 1_000;
const anotherToken = `make one: node -p "crypto.randomBytes(24).toString('base64url')" > join.token`;

/** Whose knowledge is proven. */
type Role = "worker" | "coordinator";

/** What one connection's proofs are over: 64 hex digits each. */
export interface Nonces {
  readonly coordinator: string;
  readonly worker: string;
}

/** The secret that lets workers join. Printing it, or turning it into JSON, shows nothing of the secret. */
export class JoinToken {
  /** Of a run that everyone who reaches it may join. */
  static readonly none = new JoinToken("");

  readonly #key: KeyObject;

  private constructor(secret: string) {
    this.#key = createSecretKey(secret, "utf8");
  }

  /**
   * The token in a text, without the space around it. Throws TOKEN_INVALID.
   * @param source where the text is from, for the error
   */
  static from(text: string, source: string): JoinToken {
    const secret = text.trim();
    // Such as a file of random bytes, or what a command said before it wrote the token into the file.
    if (/[\p{Cc}\uFFFD]/u.test(secret))
      throw new LockstepError("TOKEN_INVALID", `the join token in ${source} is not one line of text`, anotherToken);
    if (secret.length >= SHORTEST_TOKEN && secret.length <= LONGEST_TOKEN) return new JoinToken(secret);
    throw new LockstepError(
      "TOKEN_INVALID",
      `the join token in ${source} has ${secret.length} characters, it needs ${SHORTEST_TOKEN} to ${LONGEST_TOKEN}`,
      anotherToken,
    );
  }

  get isNone(): boolean {
    return this.#key.symmetricKeySize === 0;
  }

  /** The secret itself, for handing it to a process of one's own. */
  reveal(): string {
    return this.#key.export().toString("utf8");
  }

  /**
   * A secret for one purpose, from which this one cannot be found: 43 characters. `reader` is the token of those who may look
   * at a run and fetch its data, and do nothing else.
   */
  derived(purpose: string): string {
    return createHmac("sha256", this.#key).update(`lockstep 2 derived\n${purpose}`).digest("base64url");
  }

  /** What `role` says to prove that it knows this token: 64 hex digits. */
  proof(role: Role, nonces: Nonces): string {
    return this.#digest(role, nonces).toString("hex");
  }

  /** Whether `proof` is what `role` says; takes as long whether it is or not. */
  isProven(proof: string, role: Role, nonces: Nonces): boolean {
    const expected = this.#digest(role, nonces);
    const given = Buffer.from(proof, "hex");
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  #digest(role: Role, { coordinator, worker }: Nonces): Buffer {
    // Hex digits hold no line ends, so no two pairs of nonces make the same text.
    return createHmac("sha256", this.#key).update(`lockstep 2 ${role}\n${coordinator}\n${worker}`).digest();
  }
}
