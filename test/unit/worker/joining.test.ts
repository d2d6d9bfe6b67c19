/** What the worker's core takes from a coordinator before that has proven itself: a challenge, a refusal, and an end. */
import { describe, expect, it } from "vitest";
import { LockstepError } from "../../../shared/errors.ts";
import { stepNumber } from "../../../shared/ids.ts";
import { JoinToken } from "../../../shared/protocol/handshake.ts";
import { WorkerTrace } from "../../support/worker-trace.ts";

const token = JoinToken.from("correct horse battery", "a test");

function connected(): WorkerTrace {
  const worker = new WorkerTrace(60_000, token);
  worker.opened();
  return worker;
}

describe("a worker with a token", () => {
  it("prepares for a coordinator that proves to know it", () => {
    const worker = connected();
    expect(worker.challenge()).toEqual(["send hello"]);
    expect(worker.welcome()).toEqual(["prepare"]);
  });

  it("ends without preparing anything for one that knows another or none", () => {
    for (const other of [JoinToken.none, JoinToken.from("incorrect horse battery", "a test")]) {
      const worker = connected();
      worker.challenge();
      expect(worker.welcome(other)).toEqual(["exit TOKEN_REFUSED"]);
      expect(worker.closed()).toEqual([]);
    }
  });

  it("leaves one that skips the challenge, repeats it, or welcomes twice", () => {
    const skips = connected();
    expect(skips.welcome()).toEqual(["say the coordinator sent a welcome while this worker was joining", "disconnect"]);
    const repeats = connected();
    repeats.challenge();
    expect(repeats.challenge().at(-1)).toBe("disconnect");
    const again = connected();
    again.challenge();
    again.welcome();
    again.prepared();
    expect(again.welcome()).toEqual(["say the coordinator sent a welcome while this worker was ready", "disconnect"]);
  });

  it("answers every connection's challenge anew", () => {
    const worker = connected();
    worker.challenge();
    worker.closed();
    worker.opened();
    expect(worker.welcome().at(-1)).toBe("disconnect");
    worker.closed();
    worker.opened();
    expect(worker.challenge()).toEqual(["send hello"]);
    expect(worker.welcome()).toEqual(["prepare"]);
  });

  it("takes neither parameters nor assignments from a stranger, although it was ready before", () => {
    const worker = connected();
    worker.challenge();
    worker.welcome();
    worker.prepared();
    worker.closed();
    worker.opened();
    const segment = { offset: 0, length: 4, total: 4, checksum: 0 };
    expect(worker.message({ type: "parameters", version: stepNumber(0), segment })).toEqual([]);
    expect(worker.assign("train", 0, [0, 1])).toEqual([]);
  });
});

it("leaves a coordinator that sends heartbeats and no welcome", () => {
  const worker = connected();
  for (let second = 0; second < 15; second++) {
    expect(worker.pass(1_000)).not.toContain("disconnect");
    worker.message({ type: "heartbeat" });
  }
  expect(worker.pass(250).slice(-2)).toEqual(["say the coordinator sent no welcome within 15 s", "disconnect"]);
});

it("ends at once where trying again cannot help", () => {
  const error = new LockstepError("TLS_REFUSED", "the certificate has expired");
  expect(new WorkerTrace().feed({ type: "unusable", error })).toEqual(["exit TLS_REFUSED"]);
});
