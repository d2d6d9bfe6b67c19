/**
 * Builds the kernels: `node shared/kernels/build.ts` compiles assembly/index.ts to kernels.wasm beside this file;
 * `--into dist` instead copies the built file to dist/shared/kernels/, beside the JavaScript that loads it.
 */
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { main as compile } from "assemblyscript/asc";

const root = fileURLToPath(new URL("../..", import.meta.url));
const built = fileURLToPath(new URL("./kernels.wasm", import.meta.url));
const { values: options } = parseArgs({ options: { into: { type: "string" } } });

// A memory of any size is accepted: at least the page the Arena leaves to this module, at most 4 GiB.
const memory = "--importMemory --noExportMemory --sharedMemory --initialMemory 1 --maximumMemory 65536";
// Warning 112 is about vectors that leave the module: here they go from one of its files to another.
const checks = "--noAssert --disableWarning 112";
const flags = `-O3 --converge ${checks} --runtime stub --enable simd --enable threads ${memory}`.split(" ");

if (options.into === undefined) {
  const source = fileURLToPath(new URL("./assembly/index.ts", import.meta.url));
  const paths = [relative(root, source), "--baseDir", root, "--outFile", relative(root, built)];
  const { error } = await compile([...paths, ...flags], { stdout: process.stdout, stderr: process.stderr });
  if (error) process.exitCode = 1;
} else {
  const target = resolve(root, options.into, relative(root, built));
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(built, target);
}
