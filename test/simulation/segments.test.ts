/** The same simulations with segments of 64 bytes, or 128 on the coordinator's host: each partial and each version of the parameters takes several. */
import { expect, test, vi } from "vitest";
import type * as Messages from "../../shared/protocol/messages.ts";
import { scheduleOf } from "./seeds.ts";
import { check } from "./simulate.ts";

vi.mock(import("../../shared/protocol/messages.ts"), async (original) => {
  const messages: typeof Messages = await original();
  return { ...messages, SEGMENT_BYTES: 64, LONG_SEGMENT_BYTES: 128, LEAST_BUCKET_BYTES: 128 };
});

const SEEDS = 400;

test(`${SEEDS} schedules in small segments end in the same bits`, async () => {
  const times = new Map<string, number>();
  const tell = (line: string): void => {
    const [how] = /(?<=parameters )\w+$|owes(?= an evaluation$)|(?<="type":")paused/.exec(line) ?? [];
    if (how !== undefined) times.set(how, 1 + (times.get(how) ?? 0));
  };
  for (let seed = 50_001; seed <= 50_000 + SEEDS; seed++) await check(scheduleOf(seed), { tell });
  // They are sent ahead, and kept or not. Runs go on that were stopped when nobody was left to evaluate, or that paused.
  for (const how of ["ahead", "128", "again", "all", "owes", "paused"]) expect(times.get(how)).toBeGreaterThan(10);
}, 300_000);
