/**
 * Where a step's time goes and what would shorten it, in one sentence: the first rule that fits what was measured. It knows shares and
 * counts and nothing of the network, so it names the way; how far it leads is for an experiment to say.
 */
import { unreachable } from "../../shared/errors.ts";
import { percent, plural } from "../cli/format.ts";
import { totalOf, workersAt } from "./cost-model.ts";
import type { Point } from "./experiment.ts";
import type { StepParts } from "./measure.ts";

/** From this share on, computing is what a step consists of. */
const MOSTLY = 2 / 3;
/** A thread that has so many times its part of the shards holds the others up. */
const UNEVEN = 1.1;

const OTHER_BITS = "another number of shards gives other bits";

/**
 * @param parts of a step, in any unit
 * @param cores of the machine that the coordinator and all workers run on
 */
export function adviceOn(parts: StepParts, point: Point, cores: number): string {
  const idle = point.workers - workersAt(point).computing;
  if (idle > 0) return ofIdle(idle, point);
  return parts.compute >= MOSTLY * totalOf(parts) ? ofComputing(parts, point, cores) : ofTheRest(parts, point, cores);
}

const shareOf = (parts: StepParts, part: keyof StepParts): string => percent(parts[part] / totalOf(parts), 0);

function ofIdle(idle: number, point: Point): string {
  const { shards } = workersAt(point);
  const why = `${idle} of ${plural(point.workers, "worker")} have nothing to compute, as a minibatch`;
  return shards < point.shards
    ? `${why} of ${plural(point.batch, "sample")} makes no more than ${plural(shards, "shard")}: start fewer, or a bigger minibatch`
    : `${why} is cut into ${plural(shards, "shard")}: start fewer, or cut it into ${point.workers} (${OTHER_BITS})`;
}

const onCores = (busy: number, cores: number): string =>
  `${plural(busy, "compute thread")} on ${plural(cores, "core")}`;

function ofComputing(parts: StepParts, point: Point, cores: number): string {
  const { shards, computing, widest, busy } = workersAt(point);
  const share = `computing is ${shareOf(parts, "compute")} of a step`;
  if (busy > cores)
    return `${share}, with ${onCores(busy, cores)} that take turns: fewer workers here, or some of them on another machine`;
  const threads = computing * point.threads;
  const most = Math.ceil(widest / point.threads);
  const even = threads * Math.ceil(shards / threads);
  // A shard has two samples at least.
  if (most > UNEVEN * (shards / threads) && even <= point.batch / 2)
    return `${share}, and as long as that of the thread that has ${most} of ${plural(shards, "shard")} for ${plural(threads, "thread")}: ${even} shards would be shared evenly (${OTHER_BITS})`;
  if (busy < cores)
    return `${share}, with ${onCores(busy, cores)}: more workers${busy < shards ? "" : `, and as many shards (${OTHER_BITS})`}`;
  return `${share}, and every core has a thread to run: workers on other machines, or a faster processor`;
}

const BIGGER = "a bigger minibatch, which spreads it over more samples";

function ofTheRest(parts: StepParts, point: Point, cores: number): string {
  const { busy } = workersAt(point);
  const most = (["wait", "wire", "reduce"] as const).toSorted((left, right) => parts[right] - parts[left])[0]!;
  const share = `${shareOf(parts, most)} of a step (computing ${shareOf(parts, "compute")})`;
  const orFewer = point.workers > 1 ? "; or fewer workers, which make fewer sums" : "";
  switch (most) {
    case "wait":
      return busy + 1 > cores && point.workers > 1
        ? `waiting is ${share}, with the coordinator and ${onCores(busy, cores)}: fewer workers here, or ${BIGGER}`
        : `waiting for messages and threads to wake is ${share}: ${BIGGER}`;
    case "wire":
      return `messages and their bytes are ${share}: ${BIGGER}${orFewer}`;
    case "reduce":
      return `adding sums up and the optimizer are ${share}: ${BIGGER}${orFewer}`;
    default:
      return unreachable(most);
  }
}
