/** Where a join token is looked for, and what is said when it is not there. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readToken } from "../../shared/token.ts";
import { refusal } from "../support/errors.ts";
import { configFolder } from "../support/config.ts";

const written = (text: string): string => {
  const file = join(configFolder(), "join.token");
  writeFileSync(file, text);
  return file;
};

it("comes from the file, else from the environment, else there is none", () => {
  const file = written("the token of the file\n");
  const environment = { LOCKSTEP_TOKEN: "the token of the environment" };
  expect(readToken(file, environment).reveal()).toBe("the token of the file");
  expect(readToken(undefined, environment).reveal()).toBe("the token of the environment");
  expect(readToken(undefined, {}).isNone).toBe(true);
});

it("is never taken for none when it was to be given", () => {
  expect(refusal(() => readToken(undefined, { LOCKSTEP_TOKEN: "" }))).toMatchObject({
    code: "TOKEN_INVALID",
    message: "the join token in the variable LOCKSTEP_TOKEN has 0 characters, it needs 16 to 1000",
  });
  expect(refusal(() => readToken(written("\n"), {})).code).toBe("TOKEN_INVALID");
  expect(refusal(() => readToken("/nowhere/join.token", {}))).toMatchObject({
    code: "TOKEN_INVALID",
    message: "/nowhere/join.token: no such file",
  });
  expect(refusal(() => readToken(configFolder(), {})).message).toContain("EISDIR");
});
