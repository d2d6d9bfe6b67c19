import { expect, test } from "vitest";
import type { EngineCall } from "../../../shared/protocol/messages.ts";
import { WorkerClock } from "../../../coordinator/tracing/worker-clock.ts";

/** A call that ended `sent` − 100 µs, after 500 µs of computing. */
const callBefore = (sent: number): EngineCall => [1, sent - 900, sent - 700, sent - 600, sent - 100];

/** Where the worker's computing is placed, in milliseconds. */
function computing(clock: WorkerClock, sent: number, heard: number): readonly [number, number] {
  const placed = clock.place({ sent, calls: [callBefore(sent)] }, heard);
  const [, begin, end] = placed.find(({ span: [kind] }) => kind === "compute")!.span;
  return [begin, end];
}

test("a message's times lie before it by as much as they were before it was sent", () => {
  const clock = new WorkerClock();
  const sent = 5_000_000;
  const spans = clock.place({ sent, calls: [callBefore(sent)] }, 1000).map(({ part, span }) => [part, ...span]);
  const expected = [
    ["thread 1", "gather", 999.1, 999.3],
    ["thread 1", "wait", 999.3, 999.4],
    ["thread 1", "compute", 999.4, 999.9],
    ["thread 1", "announce", 999.9, 1000],
  ] as const;
  expect(spans.map(([part, kind]) => [part, kind])).toEqual(expected.map(([part, kind]) => [part, kind]));
  spans.forEach((span, index) => {
    expect(span[2]).toBeCloseTo(expected[index]![2], 6);
    expect(span[3]).toBeCloseTo(expected[index]![3], 6);
  });
});

test("a message that was held up moves nothing: the fastest one tells what the worker's clock shows", () => {
  const clock = new WorkerClock();
  computing(clock, 1_000_000, 100);
  // Sent 10 ms later, and 7 ms on its way.
  expect(computing(clock, 1_010_000, 117)[0]).toBeCloseTo(109.4, 6);
  // 0.05 ms faster than the first.
  expect(computing(clock, 1_020_000, 119.95)[0]).toBeCloseTo(119.35, 6);
  expect(computing(clock, 1_030_000, 131)[0]).toBeCloseTo(129.35, 6);
});

test("a clock that runs away is followed", () => {
  const clock = new WorkerClock();
  let begin = 0;
  // 1 ms slower each second, which only a rather bad clock is, over a minute.
  for (let now = 0; now <= 60_000; now += 100) begin = computing(clock, Math.round(now * 999), now)[0];
  expect(begin).toBeGreaterThan(60_000 - 25);
  expect(begin).toBeLessThanOrEqual(60_000);
});

test("nothing lies behind the message that tells of it, nor ends before it begins, whatever a worker says", () => {
  const clock = new WorkerClock();
  const calls: EngineCall[] = [
    [1, 9_000_000, 8_000_000, 7_000_000, 9_999_999],
    [2, 0, 2 ** 53 - 1, 0, 5],
  ];
  const placed = clock.place({ sent: 1_000_000, encode: 2_000_000, received: [3_000_000, 1], calls }, 50);
  for (const {
    span: [, begin, end],
  } of placed) {
    expect(end).toBeLessThanOrEqual(50);
    expect(begin).toBeLessThanOrEqual(end);
  }
});

test("what the main thread sent was on its way until it came", () => {
  const clock = new WorkerClock();
  clock.place({ sent: 1_000, encode: 900, calls: [] }, 10);
  const placed = clock.place({ sent: 3_000, encode: 2_500, received: [1_000, 1_200], calls: [] }, 13);
  expect(
    placed.map(({ part, span: [kind, begin, end] }) => [part, kind, Math.round(1000 * begin), Math.round(1000 * end)]),
  ).toEqual([
    ["main", "receive", 10_000, 10_200],
    ["main", "encode", 11_500, 12_000],
    ["main", "send", 12_000, 13_000],
  ]);
});
