/**
 * The package as its users get it: packed, installed by the README's line in an empty folder, run by `npx` with whatever
 * Node is on the machine, imported with types. The README's TypeScript example is what is run.
 */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

/** The environment of a person's shell: without what npm adds for this repository's scripts. */
const environment = Object.fromEntries(
  Object.entries(process.env)
    .filter(([name]) => !name.toLowerCase().startsWith("npm_"))
    .map(([name, value]) => [name, name === "PATH" ? withoutRepository(value!) : value]),
);

function withoutRepository(path: string): string {
  return path
    .split(":")
    .filter((folder) => !folder.includes("node_modules"))
    .join(":");
}

/** The README's fenced blocks of a language. */
async function readmeBlocks(language: string): Promise<string[]> {
  const readme = await readFile(join(repository, "README.md"), "utf8");
  return Array.from(readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms")), ([, block]) => block!);
}

test("the packed package trains by npx and by import, with types", async () => {
  const folder = await temporaryFolder();
  const shell = (command: string, cwd = folder): Promise<{ stdout: string; stderr: string }> =>
    run("bash", ["-c", command], { cwd, env: environment, maxBuffer: 1 << 26 });

  await run("npm", ["pack", "--pack-destination", folder], { cwd: repository });
  const install = (await readmeBlocks("sh")).join("").match(/^.*npm install .*lockstep$/m)?.[0];
  expect(install, "the README's install line").toBeDefined();
  await shell(`npm init -y && ${install!.replace(/lockstep$/, "./lockstep-*.tgz")}`);

  const { stdout } = await shell("npx lockstep train --epochs 1 --layers 784,16,10");
  const [accuracy, hash] = stdout.trimEnd().split("\n").slice(-2);
  expect(accuracy).toMatch(/^test accuracy 9\d\.\d\d %$/);
  expect(hash).toMatch(/^parameters sha256 [0-9a-f]{64}$/);

  const [example] = await readmeBlocks("ts");
  await writeFile(join(folder, "example.ts"), example!);
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ ...JSON.parse(await readFile(join(folder, "package.json"), "utf8")), type: "module" }),
  );
  const tsc = join(repository, "node_modules", ".bin", "tsc");
  const types = join(repository, "node_modules", "@types");
  await shell(
    `${tsc} --noEmit --strict --skipLibCheck --target es2024 --module nodenext --types node --typeRoots ${types} example.ts`,
  );
  const ran = await shell("npx node example.ts");
  expect(ran.stdout).toMatch(/accuracy 9\d\.\d+ %/);
}, 300_000);
