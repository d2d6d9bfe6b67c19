/** `npm run simulate`: schedules of faults, one after the other, until one does not end in the undisturbed run's bits. */
import { mistake, optionsFrom } from "../support/command-line.ts";
import { linesOf } from "./schedule.ts";
import { scheduleOf } from "./seeds.ts";
import { check } from "./simulate.ts";

const help = `npm run simulate -- [options]

Simulates a cluster under the schedules of many seeds, and stops at the first that does not end in the undisturbed run's
bits. Says how many schedules had which fault.

  --seeds N   so many schedules (2000)
  --from K    from this seed on (1)
  --trace     tell the story of each, not only of one that fails

  npm run simulate -- --seeds 200
  npm run simulate -- --from 1234 --seeds 1 --trace`;
const values = optionsFrom(help, {
  seeds: { type: "string", default: "2000" },
  from: { type: "string", default: "1" },
  trace: { type: "boolean", default: false },
});
const from = Number(values.from);
const count = Number(values.seeds);
if (!Number.isSafeInteger(from) || from < 0 || !Number.isSafeInteger(count) || count < 1) {
  mistake(help, "--seeds and --from want whole numbers, --seeds one from 1 on");
}

/** Lines of the story that are shown of a failure without --trace. */
const SHOWN = 60;

async function failed(seed: number, error: unknown): Promise<void> {
  const story: string[] = [];
  await check(scheduleOf(seed), { tell: (line) => story.push(line) }).catch(() => {});
  console.error(linesOf(scheduleOf(seed)).join("\n"));
  console.error(story.slice(values.trace ? 0 : -SHOWN).join("\n"));
  console.error(`seed ${seed} failed: ${error instanceof Error ? error.stack : String(error)}`);
  console.error(`again: npm run simulate -- --from ${seed} --seeds 1 --trace`);
}

// What is thrown where no promise waits would end a real process too.
let current = from;
process.on("uncaughtException", (error) => void failed(current, error).then(() => process.exit(1)));

const begun = performance.now();
let virtualSeconds = 0;
let events = 0;
const schedulesWith = new Map<string, number>();
for (let seed = from; seed < from + count; seed++) {
  current = seed;
  const { faults, workers } = scheduleOf(seed);
  const kinds = new Set<string>(faults.map(({ kind }) => kind));
  for (const { lies } of workers) if (lies !== undefined) kinds.add(`lies (${lies})`);
  for (const kind of kinds) schedulesWith.set(kind, (schedulesWith.get(kind) ?? 0) + 1);
  try {
    const tell = values.trace ? { tell: (line: string) => console.log(line) } : {};
    if (values.trace) console.log(linesOf(scheduleOf(seed)).join("\n"));
    const story = await check(scheduleOf(seed), tell);
    virtualSeconds += story.virtualSeconds;
    events += story.events;
  } catch (error) {
    await failed(seed, error);
    process.exit(1);
  }
}
const seconds = (performance.now() - begun) / 1000;
console.log(
  `${count} schedules from seed ${from}: all in the same bits; ${(count / seconds).toFixed(0)} schedules/s, ` +
    `${(virtualSeconds / count).toFixed(1)} virtual seconds and ${Math.round(events / count)} events each`,
);
const most = [...schedulesWith].toSorted(([, left], [, right]) => right - left);
console.log(`schedules with ${most.map(([kind, schedules]) => `${kind}: ${schedules}`).join(", ")}`);
