/** The same simulations with segments of 128 bytes: each partial and each version of the parameters takes several. */
import { expect, test, vi } from "vitest";
import type * as Messages from "../../shared/protocol/messages.ts";
import { scheduleOf } from "./seeds.ts";
import { check } from "./simulate.ts";

vi.mock(import("../../shared/protocol/messages.ts"), async (original) => {
  const messages: typeof Messages = await original();
  return { ...messages, SEGMENT_BYTES: 128 };
});

const SEEDS = 300;

test(`${SEEDS} schedules in small segments end in the same bits`, async () => {
  const lines: string[] = [];
  await check(scheduleOf(1), { tell: (line) => lines.push(line) });
  expect(lines.filter((line) => line.includes("← parameters 0")).length).toBeGreaterThan(1);
  for (let seed = 50_001; seed <= 50_000 + SEEDS; seed++) await check(scheduleOf(seed));
}, 300_000);
