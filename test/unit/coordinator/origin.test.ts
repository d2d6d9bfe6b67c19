import { expect, it } from "vitest";
import { isForeignOrigin } from "../../../coordinator/server/origin.ts";

it.each([
  [undefined, "127.0.0.1:7000", false],
  ["http://127.0.0.1:7000", "127.0.0.1:7000", false],
  ["http://localhost:7000", "localhost:7000", false],
  ["http://[::1]:7000", "[::1]:7000", false],
  ["https://trainer.example:7000", "Trainer.example:7000", false],
  ["https://evil.example", "127.0.0.1:7000", true],
  ["http://127.0.0.1:8000", "127.0.0.1:7000", true],
  ["http://localhost:7000", "127.0.0.1:7000", true],
  ["null", "127.0.0.1:7000", true],
  ["", "127.0.0.1:7000", true],
  ["http://127.0.0.1:7000", undefined, true],
  // A name of the attacker's that leads to this machine.
  ["http://evil.example:7000", "evil.example:7000", true],
] as const)("a page of %s that connects to %s is foreign: %s", (origin, host, foreign) => {
  const headers = { ...(origin === undefined ? {} : { origin }), ...(host === undefined ? {} : { host }) };
  expect(isForeignOrigin(headers, "trainer.example")).toBe(foreign);
  expect(isForeignOrigin(headers, "Trainer.Example")).toBe(foreign);
});
