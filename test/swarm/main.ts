/** `npm run swarm`: a real coordinator and very many light workers that come and go. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mistake, optionsFrom } from "../support/command-line.ts";
import { courseOf, growthOf, problemsOf } from "./judge.ts";
import { STEPS_PER_EPOCH } from "./job.ts";
import type { Held, Measurement } from "./measurement.ts";
import { runAlone, runSwarm } from "./swarm.ts";
import type { SwarmReport } from "./swarm.ts";

const help = `npm run swarm -- [options]

A real coordinator trains with many light workers, of which some leave, are killed and join about once a second. Ends with
0 only if every step was taken with so many workers there, nothing grew, and the parameters are, to the last bit, those of
one undisturbed worker.

  --workers N     so many (200)
  --seconds S     for about so long (60)
  --processes P   that the workers are spread over (4)
  --sockets       they share no memory with the coordinator
  --seed K        decides who comes and goes (1)

  npm run swarm -- --workers 50 --seconds 20`;
const values = optionsFrom(help, {
  workers: { type: "string", default: "200" },
  seconds: { type: "string", default: "60" },
  processes: { type: "string", default: "4" },
  seed: { type: "string", default: "1" },
  sockets: { type: "boolean", default: false },
});
const [workers, seconds, processes, seed] = [values.workers, values.seconds, values.processes, values.seed].map(Number);
if (![workers, seconds, processes, seed].every((value) => Number.isSafeInteger(value) && value! >= 1))
  mistake(help, "--workers, --seconds, --processes and --seed want whole numbers from 1 on");

/** Enough that starting and warming up count for little in the rate. */
const CALIBRATION_EPOCHS = 80;
const FEWEST_ROUNDS = 12;

const folder = await mkdtemp(join(tmpdir(), "lockstep-swarm-"));
await using cleanUp = new AsyncDisposableStack();
cleanUp.defer(() => rm(folder, { recursive: true, force: true }));
process.on("SIGINT", () => void cleanUp.disposeAsync().then(() => process.exit(130)));

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`;
const shown = ({ inUse, resident, descriptors }: Held): string =>
  `${megabytes(inUse)} in use, ${megabytes(resident)} resident, ${descriptors} files`;
const tell = ({ step, workers: there, coordinator, fleet }: Measurement): void =>
  console.log(`step ${step}, ${there} workers: coordinator ${shown(coordinator)}; their processes ${shown(fleet)}`);
const swarm = async (name: string, epochs: number, rounds: number): Promise<SwarmReport> => {
  const place = { folder: join(folder, name), cleanUp };
  await mkdir(place.folder);
  return await runSwarm(
    place,
    { workers: workers!, processes: processes!, epochs, rounds, sharedMemory: !values.sockets, seed: seed! },
    tell,
  );
};

// How many epochs last as long as was asked for: a short run gives the rate.
const calibration = await swarm("calibration", CALIBRATION_EPOCHS, 0);
const epochs = Math.max(1, Math.round((seconds! * CALIBRATION_EPOCHS) / calibration.result.seconds));
const about = `${workers} light workers in ${processes} processes`;
console.log(`swarm of ${about} for about ${seconds} s, seed ${seed}: ${epochs * STEPS_PER_EPOCH} steps`);
const report = await swarm("swarm", epochs, Math.max(FEWEST_ROUNDS, seconds!));
const alone = await runAlone({ folder: join(folder, "swarm"), cleanUp }, epochs);

const { result, gathering, most, joined, lost, measurements } = report;
const [first, last] = [measurements[0]!, measurements.at(-1)!];
const processor = (1000 * (last.processor - first.processor)) / (last.step - first.step);
console.log(
  `${result.steps} steps in ${result.seconds.toFixed(0)} s, ${(result.steps / result.seconds).toFixed(1)} steps/s; ` +
    `${processor.toFixed(1)} ms of the coordinator's processor a step, measuring included`,
);
console.log(
  `all in after ${gathering.toFixed(1)} s; at most ${most} at a time; ` +
    `${joined} joined, ${lost.left} left, ${lost.otherwise} were killed`,
);
const course = (what: string, figure: (measurement: Measurement) => number): void => {
  const { early, middle, late } = courseOf(measurements, figure);
  console.log(`${what} at the start, in the middle and at the end: ${[early, middle, late].map(megabytes).join(", ")}`);
};
course("coordinator, memory in use", ({ coordinator }) => coordinator.inUse);
course("coordinator, resident memory", ({ coordinator }) => coordinator.resident);
course("workers' processes, memory in use", ({ fleet }) => fleet.inUse);
course("workers' processes, resident memory", ({ fleet }) => fleet.resident);
console.log(`parameters sha256 ${result.parametersSha256}, one undisturbed worker ${alone.parametersSha256}`);
const problems = [
  ...problemsOf(report, alone, { workers: workers!, steps: epochs * STEPS_PER_EPOCH }),
  ...growthOf(measurements),
];
for (const problem of problems) console.log(`problem: ${problem}`);
console.log(problems.length === 0 ? "swarm passed: the same bits, and nothing grew" : "swarm FAILED");
process.exitCode = problems.length === 0 ? 0 : 1;
