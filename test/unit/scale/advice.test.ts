/** What is advised of which shares, and that the counts in it are those of the point. */
import { expect, test } from "vitest";
import { adviceOn } from "../../../coordinator/scale/advice.ts";
import type { Point } from "../../../coordinator/scale/experiment.ts";
import type { StepParts } from "../../../coordinator/scale/measure.ts";

const mostly = { compute: 83, reduce: 9, wire: 8, wait: 0 };
const onTheWire = { compute: 43, reduce: 4, wire: 36, wait: 17 };
const waiting = { compute: 40, reduce: 5, wire: 15, wait: 40 };
const adding = { compute: 30, reduce: 50, wire: 10, wait: 10 };

const at = (workers: number, rest: Partial<Point> = {}): Point => ({
  workers,
  threads: 1,
  shards: 8,
  batch: 128,
  ...rest,
});

const bits = "(another number of shards gives other bits)";
const bigger = "a bigger minibatch, which spreads it over more samples";

test.each<[string, StepParts, Point, number, string]>([
  [
    "more workers than shards",
    onTheWire,
    at(10),
    16,
    `2 of 10 workers have nothing to compute, as a minibatch is cut into 8 shards: start fewer, or cut it into 10 ${bits}`,
  ],
  [
    "more workers than a small minibatch has shards for",
    mostly,
    at(6, { batch: 9 }),
    16,
    "2 of 6 workers have nothing to compute, as a minibatch of 9 samples makes no more than 4 shards: start fewer, or a bigger minibatch",
  ],
  [
    "more threads than cores",
    mostly,
    at(2, { threads: 2 }),
    2,
    "computing is 83 % of a step, with 4 compute threads on 2 cores that take turns: fewer workers here, or some of them on another machine",
  ],
  [
    "shards that workers share unevenly",
    mostly,
    at(3),
    4,
    `computing is 83 % of a step, and as long as that of the thread that has 3 of 8 shards for 3 threads: 9 shards would be shared evenly ${bits}`,
  ],
  [
    "shards that threads share unevenly",
    mostly,
    at(2, { threads: 3 }),
    8,
    `computing is 83 % of a step, and as long as that of the thread that has 2 of 8 shards for 6 threads: 12 shards would be shared evenly ${bits}`,
  ],
  [
    "shards that no number shares evenly, as each needs two samples",
    mostly,
    at(3, { batch: 16 }),
    4,
    "computing is 83 % of a step, with 3 compute threads on 4 cores: more workers",
  ],
  [
    "cores that are free",
    mostly,
    at(1),
    2,
    "computing is 83 % of a step, with 1 compute thread on 2 cores: more workers",
  ],
  [
    "cores that are free, and no shard for them",
    mostly,
    at(8),
    16,
    `computing is 83 % of a step, with 8 compute threads on 16 cores: more workers, and as many shards ${bits}`,
  ],
  [
    "all cores at work",
    mostly,
    at(2),
    2,
    "computing is 83 % of a step, and every core has a thread to run: workers on other machines, or a faster processor",
  ],
  [
    "the wire",
    onTheWire,
    at(2),
    2,
    `messages and their bytes are 36 % of a step (computing 43 %): ${bigger}; or fewer workers, which make fewer sums`,
  ],
  [
    "the wire to one worker",
    onTheWire,
    at(1),
    2,
    `messages and their bytes are 36 % of a step (computing 43 %): ${bigger}`,
  ],
  [
    "waiting for a core",
    waiting,
    at(2),
    2,
    `waiting is 40 % of a step (computing 40 %), with the coordinator and 2 compute threads on 2 cores: fewer workers here, or ${bigger}`,
  ],
  [
    "waiting with cores to spare",
    waiting,
    at(2),
    8,
    `waiting for messages and threads to wake is 40 % of a step (computing 40 %): ${bigger}`,
  ],
  [
    "waiting for the one worker there is",
    waiting,
    at(1),
    1,
    `waiting for messages and threads to wake is 40 % of a step (computing 40 %): ${bigger}`,
  ],
  [
    "the coordinator's sums",
    adding,
    at(4),
    8,
    `adding sums up and the optimizer are 50 % of a step (computing 30 %): ${bigger}; or fewer workers, which make fewer sums`,
  ],
])("%s", (_, parts, point, cores, sentence) => {
  expect(adviceOn(parts, point, cores)).toBe(sentence);
  // Shares count, whatever their unit.
  const [compute, reduce, wire, wait] = [parts.compute, parts.reduce, parts.wire, parts.wait].map(
    (part) => part / 1000,
  );
  expect(adviceOn({ compute: compute!, reduce: reduce!, wire: wire!, wait: wait! }, point, cores)).toBe(sentence);
});

test("advice is about computing where that is two thirds of a step or more, and about the rest below", () => {
  const shares = (compute: number): StepParts => ({ compute, reduce: 0, wire: 100 - compute, wait: 0 });
  expect(adviceOn(shares(67), at(2), 2)).toMatch(/^computing is 67 %/);
  expect(adviceOn(shares(66), at(2), 2)).toMatch(/^messages and their bytes are 34 %/);
});
