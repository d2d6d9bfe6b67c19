/** What the coordinator's core says to strangers: a challenge, and why not; everything else comes after the proof. */
import { describe, expect, it } from "vitest";
import { LockstepError } from "../../../shared/errors.ts";
import { workerId } from "../../../shared/ids.ts";
import { PROTOCOL_VERSION } from "../../../shared/protocol/messages.ts";
import { JoinToken } from "../../../shared/protocol/handshake.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";

const refused = (code: string, worker = "c"): string[] => [
  `${worker} ← refused ${code}`,
  `${worker} close`,
  "notify refused",
];

/** A run with a token in which a is at work and c has just connected. */
function guarded(): CoordinatorTrace {
  const run = new CoordinatorTrace();
  run.token = JoinToken.from("correct horse battery", "a test");
  run.join("a");
  expect(run.connect("c")).toEqual(["c ← challenge"]);
  return run;
}

describe("a stranger", () => {
  it("is welcomed for the right proof", () => {
    const run = guarded();
    expect(run.hello("c")).toEqual(["c ← welcome"]);
    expect(run.ready("c")).toEqual(["notify worker-joined"]);
  });

  it("is refused for a proof of another token, of none, of the coordinator's role, or of another connection", () => {
    const nonces = { coordinator: "a".repeat(64), worker: "b".repeat(64) };
    const token = guarded().token;
    for (const proof of [
      JoinToken.from("incorrect horse battery", "a test").proof("worker", nonces),
      JoinToken.none.proof("worker", nonces),
      token.proof("coordinator", nonces),
      token.proof("worker", { ...nonces, coordinator: "e".repeat(64) }),
    ]) {
      const run = guarded();
      expect(run.hello("c", { proof })).toEqual(refused("TOKEN_REFUSED"));
      expect(run.hello("c")).toEqual([]);
    }
  });

  it("is told what is wrong: the token, or that there is none", () => {
    const told = (run: CoordinatorTrace): string => {
      const name = workerId("c");
      const nonce = "b".repeat(64);
      const hello = {
        type: "hello",
        protocol: PROTOCOL_VERSION,
        version: "1.0.0",
        name: "c",
        threads: 1,
        nonce,
        proof: nonce,
      } as const;
      const events = run.effects({ type: "message", worker: name, message: hello });
      const sent = events.find((effect) => effect.type === "send");
      return sent?.message.type === "refused" ? `${sent.message.message}; ${sent.message.hint}` : "";
    };
    expect(told(guarded())).toMatch(/did not prove that it knows the run's join token; .*--token-file/);
    const open = new CoordinatorTrace();
    open.connect("c");
    expect(told(open)).toMatch(/was given a join token, and this coordinator has none; .*/);
  });

  it("hears of the version before its proof, and of the run's end only after it", () => {
    const proof = "0".repeat(64);
    expect(guarded().hello("c", { proof, version: "1.0.1" })).toEqual(refused("VERSION_MISMATCH"));
    const run = guarded();
    run.feed({ type: "stop", reason: "user" });
    // Being closed is all that it notices.
    const end = run.finishWork().slice(2);
    expect(end).toEqual(["checkpoint", "a ← end stopped", "a close", "c close", "finish stopped"]);
    run.connect("d");
    expect(run.hello("d", { proof })).toEqual(refused("TOKEN_REFUSED", "d"));
    run.connect("e");
    expect(run.hello("e")).toEqual(["e proven", ...refused("RUN_ENDED", "e")]);
  });

  it("cannot put sentences of its own into the log", () => {
    const message = { type: "failed", code: "DATA_MISSING", message: "a lie" } as const;
    expect(guarded().feed({ type: "message", worker: workerId("c"), message })).toEqual(refused("PROTOCOL_VIOLATION"));
  });
});

describe("a connection that is refused", () => {
  it("is named, and told of with the reason that it hears itself", () => {
    const run = guarded();
    const error = new LockstepError("PROTOCOL_VIOLATION", "no message");
    expect(run.told({ type: "violation", worker: workerId("c"), error })).toEqual([
      { type: "refused", worker: "c", code: "PROTOCOL_VIOLATION", message: "no message" },
    ]);
    run.connect("x");
    run.hello("x", { name: "late" });
    const told = run.told({ type: "violation", worker: workerId("x"), error });
    expect(told).toMatchObject([{ type: "refused", worker: "late" }]);
  });

  it("hears how long it was waited for", () => {
    /** Why who says nothing more is let go, after so many seconds. */
    const reasonAfter = (seconds: number, hello: boolean): string => {
      const run = guarded();
      if (hello) run.hello("c", { name: "late" });
      run.pass(1_000 * (seconds - 1), hello ? [] : ["c"]);
      run.now += 1_000;
      const told = run.told({ type: "tick" });
      return told.map((event) => (event.type === "refused" ? event.message : "")).join();
    };
    expect(reasonAfter(11, false)).toBe("no hello within 10 s of connecting");
    expect(reasonAfter(601, true)).toBe("worker late did not become ready within 10 minutes");
  });
});

describe("the name of a worker that the run has started itself", () => {
  it("is nobody else's, so that another one's lies and failures don't fall on it", () => {
    const run = new CoordinatorTrace({ ownNames: ["worker-1"] });
    run.connect("own", { isOwn: true });
    expect(run.hello("own", { name: "worker-1" })).toEqual(["own ← welcome"]);
    run.connect("c");
    expect(run.hello("c", { name: "worker-1" })).toEqual(["c proven", ...refused("NAME_TAKEN")]);
    run.connect("d");
    expect(run.hello("d", { name: "worker-2" })).toEqual(["d ← welcome"]);
  });
});
