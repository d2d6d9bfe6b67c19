/** The proofs of a join token: only who knows it makes one, for one connection, in one role; and the secret stays inside. */
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JoinToken } from "../../../shared/protocol/handshake.ts";
import { refusal } from "../../support/errors.ts";

const secrets = fc.string({ minLength: 16, maxLength: 60 }).filter((text) => text.trim().length >= 16);
const tokens = secrets.map((secret) => JoinToken.from(secret, "a test"));
const nonce = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const nonces = fc.record({ coordinator: nonce, worker: nonce });
const roles = fc.constantFrom("worker", "coordinator");

describe("a proof", () => {
  it("convinces whoever has the same token and nonces", () => {
    fc.assert(
      fc.property(secrets, nonces, roles, (secret, both, role) => {
        const proof = JoinToken.from(secret, "here").proof(role, both);
        expect(proof).toMatch(/^[0-9a-f]{64}$/);
        expect(JoinToken.from(` ${secret}\n`, "there").isProven(proof, role, both)).toBe(true);
      }),
    );
  });

  it("is worth nothing under another token, nor without one", () => {
    fc.assert(
      fc.property(secrets, secrets, nonces, roles, (one, other, both, role) => {
        fc.pre(one.trim() !== other.trim());
        const proof = JoinToken.from(one, "here").proof(role, both);
        expect(JoinToken.from(other, "there").isProven(proof, role, both)).toBe(false);
        expect(JoinToken.none.isProven(proof, role, both)).toBe(false);
        expect(JoinToken.from(one, "here").isProven(JoinToken.none.proof(role, both), role, both)).toBe(false);
      }),
    );
  });

  it("cannot be replayed: either nonce of another connection makes it worthless", () => {
    fc.assert(
      fc.property(tokens, nonces, nonces, roles, (token, before, now, role) => {
        const proof = token.proof(role, before);
        for (const changed of [
          { ...before, coordinator: now.coordinator },
          { ...before, worker: now.worker },
        ]) {
          fc.pre(changed.coordinator !== before.coordinator || changed.worker !== before.worker);
          expect(token.isProven(proof, role, changed)).toBe(false);
        }
      }),
    );
  });

  it("cannot be sent back: neither as the other role's, nor with the nonces swapped", () => {
    fc.assert(
      fc.property(tokens, nonces, (token, both) => {
        fc.pre(both.worker !== both.coordinator);
        const swapped = { coordinator: both.worker, worker: both.coordinator };
        const proof = token.proof("worker", both);
        expect(token.isProven(proof, "coordinator", both)).toBe(false);
        expect(token.isProven(proof, "worker", swapped)).toBe(false);
        expect(token.isProven(proof, "coordinator", swapped)).toBe(false);
      }),
    );
  });

  it("is over whole nonces: digits cut from one, or moved to the other, make it worthless", () => {
    fc.assert(
      fc.property(tokens, nonces, fc.integer({ min: 1, max: 64 }), (token, both, cut) => {
        const proof = token.proof("worker", both);
        const head = both.coordinator.slice(0, -cut);
        const tail = both.coordinator.slice(-cut);
        expect(token.isProven(proof, "worker", { ...both, coordinator: head })).toBe(false);
        expect(token.isProven(proof, "worker", { coordinator: head, worker: tail + both.worker })).toBe(false);
      }),
    );
  });

  it("counts whole: cut off, longer, changed or no hex at all it is none", () => {
    fc.assert(
      fc.property(tokens, nonces, fc.integer({ min: 0, max: 63 }), (token, both, place) => {
        const proof = token.proof("worker", both);
        const digit = ((Number.parseInt(proof[place]!, 16) + 1) % 16).toString(16);
        const changed = [
          proof.slice(0, place),
          `${proof}00`,
          proof.slice(0, place) + digit + proof.slice(place + 1),
          "",
          "no hex",
        ];
        for (const wrong of changed) expect(token.isProven(wrong, "worker", both)).toBe(false);
      }),
    );
  });

  it("is HMAC-SHA-256 as documented", () => {
    // printf 'lockstep 2 worker\naa\nbb' | openssl dgst -sha256 -hmac 'correct horse battery'
    const token = JoinToken.from("correct horse battery", "a test");
    expect(token.proof("worker", { coordinator: "aa", worker: "bb" })).toBe(
      "7427152b55476fa3b9fdb9371922997a67e46dc795926317827ca73c387acdec",
    );
  });
});

describe("a token", () => {
  it.each(["short", "x".repeat(15), `  ${"x".repeat(15)}\n`, "x".repeat(1001)])(
    "is refused when it is as weak as %j, with a way to make a better one and without being shown",
    (text) => {
      const error = refusal(() => JoinToken.from(text, "join.token"));
      expect(error.code).toBe("TOKEN_INVALID");
      expect(error.message).toContain(`join.token has ${text.trim().length} characters`);
      expect(error.hint).toContain("randomBytes");
      expect(error.message + error.hint).not.toContain(text.trim());
    },
  );

  it.each(["", " "])("is refused when it is nothing, as %j", (text) => {
    const error = refusal(() => JoinToken.from(text, "join.token"));
    expect(error.code).toBe("TOKEN_INVALID");
    expect(error.message).toContain("join.token has 0 characters");
    expect(error.hint).toContain("randomBytes");
  });

  it.each([
    "two lines, of which\none is a secret",
    "two lines, of which\r\none is a secret",
    "a secret with a \0 in it",
    Buffer.from("a secret with a \xff in it", "latin1").toString(),
  ])("is one line of text, and %j is refused without being shown", (text) => {
    const error = refusal(() => JoinToken.from(text, "join.token"));
    expect(error).toMatchObject({
      code: "TOKEN_INVALID",
      message: "the join token in join.token is not one line of text",
    });
    expect(error.message + error.hint).not.toContain("secret");
  });

  it("shows its secret to nobody who prints it", () => {
    const token = JoinToken.from("correct horse battery", "a test");
    const shown = [JSON.stringify({ token }), inspect(token, { depth: 9, showHidden: true })].join();
    expect(shown).not.toMatch(/correct|636f7272/);
    expect(token.reveal()).toBe("correct horse battery");
    expect([token.isNone, JoinToken.none.isNone]).toEqual([false, true]);
  });
});
