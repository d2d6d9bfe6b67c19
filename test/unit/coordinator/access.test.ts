/** Who is taken for a reader, an operator or nobody: tokens, and the cookies that stand for them. */
import { describe, expect, it } from "vitest";
import { Access, SESSION_LIFE } from "../../../coordinator/server/access.ts";
import { JoinToken } from "../../../shared/protocol/handshake.ts";

const token = JoinToken.from("correct-horse-battery-staple", "test");
const access = new Access(token);

describe("a secret", () => {
  it.each([
    ["correct-horse-battery-staple", "operator"],
    [token.derived("reader"), "reader"],
    ["correct-horse-battery-stapl", undefined],
    ["correct-horse-battery-staplf", undefined],
    [token.derived("readers"), undefined],
    [JoinToken.from("another-horse-battery-staple", "test").derived("reader"), undefined],
    [JoinToken.none.derived("reader"), undefined],
    ["", undefined],
  ])("%s makes %s", (secret, role) => {
    expect(access.roleOf(secret)).toBe(role);
  });

  it("that is derived is 256 bits and holds nothing of the token", () => {
    expect(Buffer.from(token.derived("reader"), "base64url")).toHaveLength(32);
    expect(token.derived("reader")).not.toContain("horse");
  });
});

describe("a session", () => {
  const now = 1_800_000_000_123;
  it.each(["reader", "operator"] as const)("of a %s lasts twelve hours and survives a restart", (role) => {
    const cookie = access.session(role, now);
    const restarted = new Access(JoinToken.from("correct-horse-battery-staple", "test"));
    expect(restarted.roleOfSession(cookie, now)).toBe(role);
    expect(restarted.roleOfSession(cookie, now + 1000 * SESSION_LIFE - 1000)).toBe(role);
    expect(restarted.roleOfSession(cookie, now + 1000 * SESSION_LIFE)).toBeUndefined();
  });

  it("cannot be forged, prolonged or promoted", () => {
    const cookie = access.session("reader", now);
    const [role, expires, proof] = cookie.split(".");
    for (const forged of [
      `operator.${expires}.${proof}`,
      `${role}.${Number(expires) + 1}.${proof}`,
      `${role}.Infinity.${proof}`,
      `${role}.1e99.${proof}`,
      `admin.${expires}.${proof}`,
      `${cookie}x`,
      cookie.slice(0, -1),
      "",
      "..",
    ])
      expect(access.roleOfSession(forged, now), forged).toBeUndefined();
    const other = new Access(JoinToken.from("another-horse-battery-staple", "test"));
    expect(other.roleOfSession(cookie, now)).toBeUndefined();
  });
});
