/** The log of a process: who chooses its format and level, what ends it, and that no secret can be in it. */
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { LockstepError } from "../../shared/errors.ts";
import { logSettings, openLog } from "../../shared/log.ts";
import type { LogFormat } from "../../shared/log.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { refusal } from "../support/errors.ts";

const written = { out: "", err: "" };
const outputs = {
  out: { write: (text: string) => (written.out += text) },
  err: { write: (text: string) => (written.err += text) },
};

async function logOf(format: LogFormat, level: "info" | "warn" = "info") {
  Object.assign(written, { out: "", err: "" });
  return openLog({ format, level }, "w1", outputs, "worker w1: ");
}

describe("the settings", () => {
  it("are the flags', then the environment's, then the default", () => {
    const environment = { LOCKSTEP_LOG: "json", LOCKSTEP_LOG_LEVEL: "debug" };
    const flags = { log: "pretty", logLevel: "warn" };
    expect(logSettings({}, {}, "json")).toEqual({ format: "json", level: "info" });
    expect(logSettings({}, environment, "pretty")).toEqual({ format: "json", level: "debug" });
    expect(logSettings(flags, environment, "json")).toEqual({ format: "pretty", level: "warn" });
    expect(logSettings({}, { LOCKSTEP_LOG: "", LOCKSTEP_LOG_LEVEL: "" }, "json").format).toBe("json");
  });

  it.each([
    [{ log: "xml" }, {}, "--log: found xml, expected pretty or json"],
    [{ logLevel: "all" }, {}, "--log-level: found all, expected debug, info or warn"],
    [{}, { LOCKSTEP_LOG: "xml" }, "the variable LOCKSTEP_LOG: found xml, expected pretty or json"],
  ])("that are none are refused by name", (flags, environment, message) => {
    expect(refusal(() => logSettings(flags, environment, "json"))).toMatchObject({ code: "CONFIG_INVALID", message });
  });
});

describe("a sentence", () => {
  it("is a line of its own for people, with whose it is", async () => {
    const log = await logOf("pretty", "warn");
    log.say("info", "ready to compute");
    log.say("warn", "not connected", { attempts: 3 });
    expect(written).toEqual({ out: "worker w1: not connected\n", err: "" });
  });

  it("is an object with its fields for machines", async () => {
    (await logOf("json")).say("warn", "not\nconnected", { attempts: 3, rate: Number.NaN });
    const [line, end, ...others] = written.out.split("\n");
    expect([end, others]).toEqual(["", []]);
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(JSON.parse(line!)).toEqual({
      time,
      level: "warn",
      name: "w1",
      attempts: 3,
      rate: null,
      msg: "not\nconnected",
    });
  });
});

describe("the error that ends a process", () => {
  const mistake = new LockstepError("PORT_IN_USE", "port 7000 is taken", "Choose another.");

  it("is one line in a log for machines, with code and hint, and nothing beside it", async () => {
    (await logOf("json", "warn")).end(mistake);
    expect(written.err).toBe("");
    expect(JSON.parse(written.out)).toMatchObject({
      level: "fatal",
      type: "failed",
      code: "PORT_IN_USE",
      hint: "Choose another.",
      msg: "port 7000 is taken [PORT_IN_USE]",
    });
  });

  it("keeps its stack where it is a defect", async () => {
    (await logOf("json")).end(new TypeError("x is not a function"));
    expect(JSON.parse(written.out)).toMatchObject({
      level: "fatal",
      err: { type: "TypeError", stack: expect.stringContaining("log.test.ts") },
      msg: expect.stringMatching(/^TypeError: x is not a function\. This is a defect of Lockstep/),
    });
  });
});

it("a join token shows nothing of its secret in either format", async () => {
  const secret = "a secret of enough characters";
  const token = JoinToken.from(secret, "a test");
  for (const format of ["pretty", "json"] as const) {
    const log = await logOf(format);
    log.say("info", inspect(token), { token, settings: { token } });
    log.end(Object.assign(new Error("broken"), { token }));
    expect(written.out + written.err).toContain("broken");
    expect(written.out + written.err).not.toContain(secret);
  }
});
