/**
 * Who may use the coordinator's pages. A run without a join token shows itself to whoever reaches it, and is steered from its own
 * host only; a run with one shows itself to those who have the reader's token, which is derived from it and lets nobody
 * join or steer, and is steered by those who have the join token. Either is given as `authorization: Bearer …`, or typed once into
 * the login page, which gives a cookie.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { JoinToken } from "../../shared/protocol/handshake.ts";

/** `reader`: may look. `operator`: may also pause, save and stop. */
export type Role = "reader" | "operator";

export const SESSION_COOKIE = "lockstep";
/** A login lasts so long, in seconds. */
export const SESSION_LIFE = 12 * 60 * 60;

export class Access {
  readonly #token: JoinToken;

  constructor(token: JoinToken) {
    this.#token = token;
  }

  /** Whether anybody needs a token. */
  get isGuarded(): boolean {
    return !this.#token.isNone;
  }

  /** The role of whoever knows this secret; takes as long whether it is right or not. */
  roleOf(secret: string): Role | undefined {
    const [isOperator, isReader] = [this.#token.reveal(), this.#token.derived("reader")].map((right) =>
      same(right, secret),
    );
    return isOperator ? "operator" : isReader ? "reader" : undefined;
  }

  /** What a cookie holds after a login at `now`, in milliseconds since 1970. It tells nobody the token and outlives a restart. */
  session(role: Role, now: number): string {
    return this.#session(role, Math.floor(now / 1000) + SESSION_LIFE);
  }

  /** The role in a cookie that was given out here and has not expired. */
  roleOfSession(cookie: string, now: number): Role | undefined {
    const [role, expires] = cookie.split(".");
    if ((role !== "reader" && role !== "operator") || !(Number(expires) > now / 1000)) return undefined;
    return same(this.#session(role, Number(expires)), cookie) ? role : undefined;
  }

  #session(role: Role, expires: number): string {
    return `${role}.${expires}.${this.#token.derived(`session ${role} ${expires}`)}`;
  }
}

const same = (right: string, given: string): boolean => timingSafeEqual(digest(right), digest(given));

/** Texts of any length become bytes of one length, which `timingSafeEqual` wants. */
const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
