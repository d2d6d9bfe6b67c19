import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { expect, it } from "vitest";
import { Ration } from "../../../coordinator/server/ration.ts";

it("64 answers are open at a time, however slowly they are asked for, and the next when one of them is closed", () => {
  const ration = new Ration();
  const take = (second: number): EventEmitter | undefined => {
    const response = new EventEmitter();
    return ration.take(response as ServerResponse, 1_000 * second) ? response : undefined;
  };
  const answers = Array.from({ length: 64 }, (_, second) => take(second));
  expect(answers).not.toContain(undefined);
  expect(take(64)).toBeUndefined();
  answers[7]!.emit("close");
  expect(take(64)).toBeDefined();
  expect(take(65)).toBeUndefined();
});
