/** That V8's slow optimising compiler is called sooner where it was asked for: in a process of its own, of which V8 tells. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const v8 = new URL("../../shared/v8.ts", import.meta.url).href;

/** The compilers of a function that is called 6,000 times, with turns in between in which compiled code can come into use. */
async function compilersOf(well: boolean): Promise<readonly string[]> {
  const program = `
    import { compileSooner } from "${v8}";
    import { setTimeout } from "node:timers/promises";
    compileSooner({ well: ${well} });
    function takeStep(weights, rate) { return weights.map((weight) => weight - rate * weight).length; }
    for (let call = 0; call < 6_000; call++) {
      takeStep([1, 2, 3], 0.1);
      if (call % 50 === 0) await setTimeout(5);
    }`;
  const flags = ["--trace-opt", "--input-type=module", "--eval"];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, program]);
  return [...stdout.matchAll(/completed compiling .*<JSFunction takeStep .*target (\w+)\)/g)].map(
    ([, target]) => target!,
  );
}

test("what is to be compiled well is taken by the slow compiler sooner, else it is not", async () => {
  expect(await compilersOf(true)).toContain("TURBOFAN_JS");
  expect(await compilersOf(false)).not.toContain("TURBOFAN_JS");
});
