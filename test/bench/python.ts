/** Finds or makes a Python that has PyTorch: a virtual environment in the cache folder, made once. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const TORCH = "2.13.0";
const environment = fileURLToPath(new URL("../../node_modules/.cache/lockstep-bench/venv", import.meta.url));
const systemPython = process.platform === "win32" ? "python" : "python3";
const environmentPython = `${environment}/${process.platform === "win32" ? "Scripts/python.exe" : "bin/python"}`;

/** The version of PyTorch a Python has, if any. */
function torchOf(python: string): string | undefined {
  const { status, stdout } = spawnSync(python, ["-c", "import torch; print(torch.__version__)"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

function succeeds(command: string, args: readonly string[]): boolean {
  console.error(`  ${command} ${args.join(" ")}`);
  // What it prints is of interest where it fails; it must not mix with the results.
  const { status } = spawnSync(command, args, { stdio: ["ignore", process.stderr, process.stderr] });
  return status === 0;
}

/** A Python with PyTorch, or undefined where there is none and none can be made; it has then said how to get it. */
export function pythonWithTorch(given: string | undefined): string | undefined {
  if (given !== undefined) {
    if (torchOf(given) !== undefined) return given;
    console.log(`${given} cannot import torch; install it there with: ${given} -m pip install torch==${TORCH}\n`);
    return undefined;
  }
  const isReady = (): boolean => torchOf(environmentPython)?.startsWith(TORCH) ?? false;
  if (existsSync(environmentPython) && isReady()) return environmentPython;
  console.error(`making a virtual environment with PyTorch ${TORCH}, once; it takes minutes and about 1 GB:`);
  const made =
    succeeds(systemPython, ["-m", "venv", "--clear", environment]) &&
    succeeds(environmentPython, ["-m", "pip", "install", "-qq", `torch==${TORCH}`]);
  if (made && isReady()) return environmentPython;
  console.log(
    `PyTorch could not be installed here. Where a Python package index can be reached:\n` +
      `  python3 -m venv FOLDER && FOLDER/bin/pip install torch==${TORCH}    (its CPU build is enough)\n` +
      `  npm run bench -- ddp --python FOLDER/bin/python\n` +
      `Until then, Lockstep alone:\n`,
  );
  return undefined;
}
