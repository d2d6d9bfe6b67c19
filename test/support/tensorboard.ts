/** TensorBoard's own reader of event files, in a Python that has it. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const imports = (python: string): boolean =>
  spawnSync(python, ["-c", "import tensorboard.backend.event_processing.event_multiplexer"]).status === 0;

/** Made by `.ci/run`; else any that is on the path. */
const python = [file("../../node_modules/.cache/lockstep-tensorboard/bin/python"), "python3"].find(imports);

export const hasTensorBoard = python !== undefined;

/** The curves of each run in a folder: pairs of step and value, float32. */
export type Curves = Readonly<Record<string, Readonly<Record<string, readonly (readonly [number, number])[]>>>>;

export function readWithTensorBoard(runs: string): { readonly curves: Curves; readonly complaints: string } {
  const { status, stdout, stderr } = spawnSync(python!, [file("read-event-files.py"), runs], { encoding: "utf8" });
  if (status !== 0) throw new Error(`TensorBoard's reader failed: ${stderr}`);
  return { curves: JSON.parse(stdout) as Curves, complaints: stderr };
}
