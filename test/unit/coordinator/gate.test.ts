/** How many may connect, and from where: counted without sockets, under a clock of the test's own. */
import { describe, expect, it } from "vitest";
import { Gate } from "../../../coordinator/server/gate.ts";
import type { Visit } from "../../../coordinator/server/gate.ts";
import { LockstepError } from "../../../shared/errors.ts";

function admitted(gate: Gate, address = "10.0.0.1", now = 0): Visit {
  const visit = gate.admit(address, now);
  if (visit instanceof LockstepError) throw visit;
  return visit;
}

/** Why an address is refused, or "in" if it is not; the visit ends proven. */
function answer(gate: Gate, address = "10.0.0.1", now = 0): string {
  const visit = gate.admit(address, now);
  if (visit instanceof LockstepError) return visit.message;
  visit.proven();
  visit.gone(now);
  return "in";
}

function fail(gate: Gate, times: number, address = "10.0.0.1", now = 0): void {
  for (let count = 0; count < times; count++) admitted(gate, address, now).gone(now);
}

describe("a refusal", () => {
  const full = new Gate(1);
  admitted(full);
  const joining = new Gate(1000);
  for (let count = 0; count < 64; count++) admitted(joining, `10.0.1.${count}`);
  const failed = new Gate(1000);
  fail(failed, 10);

  it.each([
    ["all places are taken", full],
    ["too many are joining", joining],
    ["too many joins failed", failed],
  ])("where %s has its code and a hint", (_why, gate) => {
    expect(gate.admit("10.0.0.1", 0)).toMatchObject({ code: "CONNECTION_REFUSED", hint: expect.stringMatching(/./) });
  });
});

describe("connections", () => {
  it("are as many as allowed at a time", () => {
    const gate = new Gate(3);
    const visits = [1, 2, 3].map(() => admitted(gate));
    for (const visit of visits) visit.proven();
    expect(answer(gate)).toBe("all 3 connections are in use");
    visits[1]!.gone(0);
    expect(answer(gate)).toBe("in");
  });

  it("that have not proven themselves are 64, whatever else there is room for", () => {
    const gate = new Gate(1000);
    const visits = Array.from({ length: 64 }, (_, index) => admitted(gate, `10.0.1.${index}`));
    expect(answer(gate)).toBe("64 connections are joining at this moment");
    visits[0]!.proven();
    visits[0]!.proven();
    const another = admitted(gate);
    expect(answer(gate)).toBe("64 connections are joining at this moment");
    another.gone(0);
    expect(answer(gate)).toBe("in");
  });
});

describe("failed joins", () => {
  it("are ten a minute for an address, which others do not feel", () => {
    const gate = new Gate(1000);
    fail(gate, 9);
    expect(answer(gate)).toBe("in");
    fail(gate, 1, "10.0.0.1", 30_000);
    expect(answer(gate, "10.0.0.1", 59_999)).toBe("10 joins from 10.0.0.1 failed within a minute");
    expect(answer(gate, "10.0.0.2", 59_999)).toBe("in");
    expect(answer(gate, "10.0.0.1", 60_000)).toBe("in");
    fail(gate, 9, "10.0.0.1", 60_000);
    expect(answer(gate, "10.0.0.1", 60_001)).toBe("in");
  });

  it("are not those that end after their proof, however many", () => {
    const gate = new Gate(1000);
    for (let count = 0; count < 100; count++) expect(answer(gate)).toBe("in");
  });

  it.each([
    ["::ffff:10.0.0.1", "10.0.0.1", true],
    ["2001:db8:1:2::1", "2001:db8:1:2:ffff:1:2:3", true],
    ["2001:db8:1:2::1", "2001:db8:1:3::1", false],
    ["2001:db8::1", "2001:db8::2:0:0:1", true],
    ["fe80::1", "fe80::2", true],
    ["::1", "::2", false],
    ["10.0.0.1", "10.0.0.2", false],
  ])("of %s count for %s: %s", (one, other, together) => {
    const gate = new Gate(1000);
    fail(gate, 10, one);
    expect(answer(gate, other) === "in").toBe(!together);
  });

  it("are remembered of a bounded number of addresses", () => {
    const gate = new Gate(1000);
    fail(gate, 10, "10.0.0.1");
    for (let count = 0; count < 9_999; count++) fail(gate, 1, `10.${1 + (count >> 8)}.${count & 255}.7`);
    expect(answer(gate)).not.toBe("in");
    fail(gate, 1, "11.0.0.1");
    expect(answer(gate)).toBe("in");
  });
});
