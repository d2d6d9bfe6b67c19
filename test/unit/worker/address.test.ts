import { expect, it } from "vitest";
import { coordinatorAddress } from "../../../shared/address.ts";
import { refusal } from "../../support/errors.ts";

it.each(["ws://127.0.0.1:7000", "wss://trainer.example:7000", "ws://[::1]:7000"])("%s is an address", (text) => {
  expect(coordinatorAddress(text).href).toBe(`${text}/`);
});

it.each(["", "localhost:7000", "http://localhost:7000", "ws://", "7000"])("%j is none", (text) => {
  const error = refusal(() => coordinatorAddress(text));
  expect(error.code).toBe("ADDRESS_INVALID");
  expect(error.message).toContain(`"${text}"`);
  expect(error.hint).toContain("ws://HOST:PORT or wss://HOST:PORT");
});
