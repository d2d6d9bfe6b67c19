import { describe, expect, it } from "vitest";
import { cosineOfHalfTurns, exponential, integerPower, logarithm, power } from "../../shared/elementary.ts";

const shares = Array.from({ length: 1001 }, (_, index) => index / 1000);
const relativeError = (found: number, wanted: number): number =>
  Math.abs(found - wanted) / Math.max(1e-300, Math.abs(wanted));

describe("an elementary function", () => {
  it("is the cosine to 4e-16, and exact at its ends", () => {
    for (const t of shares) expect(Math.abs(cosineOfHalfTurns(t) - Math.cos(Math.PI * t))).toBeLessThan(4e-16);
    expect([cosineOfHalfTurns(0), cosineOfHalfTurns(1)]).toEqual([1, -1]);
  });

  it("is the exponential to a relative 1e-15, to 3e-13 far below zero, and exact at its ends", () => {
    for (const t of shares) expect(relativeError(exponential(-700 * t), Math.exp(-700 * t))).toBeLessThan(3e-13);
    for (const t of shares) expect(relativeError(exponential(-t), Math.exp(-t))).toBeLessThan(1e-15);
    expect([exponential(0), exponential(-1e9)]).toEqual([1, 0]);
  });

  it("is the logarithm to 3e-15", () => {
    for (const t of shares.slice(1)) expect(Math.abs(logarithm(t) - Math.log(t))).toBeLessThan(3e-15);
  });

  it("is a power to a relative 1e-12, and exact at 0 and 1", () => {
    for (const base of shares) expect(relativeError(power(base, 2.5), base ** 2.5)).toBeLessThan(1e-13);
    expect([power(0, 0), power(0, 2), power(1, 7.5)]).toEqual([1, 0, 1]);
    for (const exponent of [0, 1, 2, 13, 1000])
      expect(relativeError(integerPower(0.97, exponent), 0.97 ** exponent)).toBeLessThan(1e-12);
  });
});
