import { describe, expect, it } from "vitest";
import { LockstepError } from "../../../shared/errors.ts";
import { stepNumber } from "../../../shared/ids.ts";
import type { WorkerEvent } from "../../../worker/core/state.ts";
import { WorkerTrace } from "../../support/worker-trace.ts";

function joined(): WorkerTrace {
  const worker = new WorkerTrace();
  worker.feed({ type: "start" });
  worker.join();
  return worker;
}

describe("a worker", () => {
  it("connects, says hello, prepares and is ready", () => {
    const worker = new WorkerTrace();
    expect(worker.feed({ type: "start" })).toEqual(["connect after 0"]);
    expect(worker.opened()).toEqual([]);
    expect(worker.challenge()).toEqual(["send hello"]);
    expect(worker.welcome()).toEqual(["prepare"]);
    expect(worker.prepared()).toEqual(["send ready", "say ready to compute"]);
  });

  it("hands an assignment to its threads, which wait for the parameters, and delivers the sums", () => {
    const worker = joined();
    expect(worker.assign("train", 0, [0, 2], [2, 3])).toEqual(["compute train 0: 0-2 2-3"]);
    expect(worker.parameters(0)).toEqual(["receive 0"]);
    expect(worker.computed("train", 0, 0, 2)).toEqual(["deliver train 0: 0-2"]);
    expect(worker.computed("train", 0, 2, 3)).toEqual(["deliver train 0: 2-3"]);
  });

  it("takes further pieces of a work, and of those that come before what it has", () => {
    const worker = joined();
    worker.assignSteps(4, 3, [0, 1]);
    expect(worker.assign("train", 5, [1, 2])).toEqual(["compute train 5: 1-2"]);
    expect(worker.assign("evaluate", 4, [0, 1])).toEqual(["compute evaluate 4: 0-1"]);
    expect(worker.computed("evaluate", 4, 0, 1)).toEqual(["deliver evaluate 4: 0-1"]);
    expect(worker.computed("train", 4, 0, 1)).toEqual(["deliver train 4: 0-1", "forget evaluate 4"]);
  });

  it("knows which of them is the latest, in whatever order they were assigned", () => {
    const worker = joined();
    worker.assign("train", 1, [0, 1]);
    worker.assign("train", 0, [1, 2]);
    expect(worker.assign("train", 2, [0, 1])).toEqual(["forget train 0", "compute train 2: 0-1"]);
    // Assigned more of a work, it has it once.
    worker.assign("train", 2, [1, 2]);
    expect(worker.assign("train", 3, [0, 1])).toEqual(["forget train 1", "compute train 3: 0-1"]);
    expect(worker.computed("train", 3, 0, 1)).toEqual(["deliver train 3: 0-1", "forget train 2"]);
  });

  it("knows by a sum of a step, for which its parameters were here, that what came before is over", () => {
    const worker = joined();
    expect(worker.assignSteps(0, 3, [0, 1])).toEqual(["compute train 0+2: 0-1"]);
    expect(worker.computed("train", 2, 0, 1)).toEqual(["deliver train 2: 0-1", "forget train 0", "forget train 1"]);
    expect(worker.computed("train", 1, 0, 1)).toEqual(["drop train 1: 0-1"]);
  });

  it("that shares the coordinator's memory takes no parameters over the socket", () => {
    const worker = new WorkerTrace();
    worker.feed({ type: "start" });
    worker.opened();
    worker.challenge();
    worker.welcome();
    worker.prepared(true);
    expect(worker.assign("train", 0, [0, 2])).toEqual(["compute train 0: 0-2"]);
    expect(worker.parameters(0)).toEqual([
      "say the coordinator sent a parameters message while this worker was ready",
      "disconnect",
    ]);
    worker.closed();
    expect(worker.state.sharesMemory).toBe(false);
  });

  it("stays with a coordinator whose bytes still come, of a message that takes long on a slow link", () => {
    const worker = joined();
    for (let second = 0; second < 60; second++) {
      expect(worker.pass(1_000)).not.toContain("disconnect");
      worker.feed({ type: "heard" });
    }
    expect(worker.pass(16_000)).toContain("disconnect");
  });

  it("that was frozen itself does not blame the coordinator for its silence", () => {
    const worker = joined();
    worker.pass(10_000);
    worker.now += 60_000;
    expect(worker.feed({ type: "tick" })).toEqual(["send heartbeat"]);
    expect(worker.pass(4_000)).not.toContain("disconnect");
    expect(worker.pass(2_000)).toContain("disconnect");
  });

  it("forgets all but the latest of what came before an assignment, and drops late results", () => {
    const worker = joined();
    worker.assignSteps(0, 2, [0, 1]);
    // The step before may be open still.
    expect(worker.assign("train", 2, [1, 2])).toEqual(["forget train 0", "compute train 2: 1-2"]);
    expect(worker.computed("train", 0, 0, 1)).toEqual(["drop train 0: 0-1"]);
    expect(worker.computed("train", 1, 0, 1)).toEqual(["deliver train 1: 0-1"]);
    expect(worker.computed("evaluate", 2, 1, 2)).toEqual(["drop evaluate 2: 1-2"]);
  });

  it("says that what it sent came damaged", () => {
    const worker = new WorkerTrace();
    worker.join();
    const work = { kind: "train", step: stepNumber(3) } as const;
    expect(worker.message({ type: "answer", code: "PARTIAL_CORRUPT", work, node: [0, 2] })).toEqual([
      "say the sum of shards 0 to 1 of train step 3 came to the coordinator damaged, and was not used [PARTIAL_CORRUPT]",
    ]);
  });

  it("takes an answer as it is: the work goes on elsewhere", () => {
    const worker = joined();
    worker.assign("train", 0, [0, 1]);
    const work = { kind: "train", step: stepNumber(0) } as const;
    expect(worker.message({ type: "answer", code: "PARTIAL_DUPLICATE", work, node: [0, 1] })).toEqual([]);
  });
});

describe("a lost connection", () => {
  it("makes the worker forget its work and connect again", () => {
    const worker = joined();
    worker.assign("train", 0, [0, 4]);
    const said = "say not connected: gone; trying again in 0.1 s";
    expect(worker.closed()).toEqual(["forget train 0", said, "connect after 100"]);
    expect(worker.computed("train", 0, 0, 4)).toEqual(["drop train 0: 0-4"]);
    worker.join();
    expect(worker.computed("train", 0, 0, 4)).toEqual(["drop train 0: 0-4"]);
    // The same work again: its parameters are sent again, too.
    expect(worker.assign("train", 0, [0, 4])).toEqual(["compute train 0: 0-4"]);
  });

  it("while it prepares makes the end of preparing meaningless", () => {
    const worker = new WorkerTrace();
    worker.opened();
    worker.challenge();
    worker.welcome();
    worker.closed();
    expect(worker.prepared()).toEqual([]);
    worker.opened();
    expect(worker.prepared()).toEqual([]);
    expect(worker.assign("train", 0, [0, 4])).toEqual([]);
  });

  it("is retried ever later up to a cap, spread by the jitter", () => {
    const worker = new WorkerTrace(Number.POSITIVE_INFINITY);
    const delay = (jitter: number) => worker.feed({ type: "closed", reason: "gone", jitter }).at(-1);
    const delays = Array.from({ length: 9 }, () => delay(1));
    expect(delays).toEqual([100, 200, 400, 800, 1600, 2500, 2500, 2500, 2500].map((after) => `connect after ${after}`));
    expect(delay(0)).toBe("connect after 1250");
    for (let failures = 0; failures < 2000; failures++) delay(1);
    expect(delay(1)).toBe("connect after 2500");
    worker.join();
    expect(delay(1)).toBe("connect after 100");
  });

  it("ends the worker once its patience is over, which a new start of work renews", () => {
    const worker = new WorkerTrace(60_000);
    worker.closed();
    worker.now = 60_000;
    expect(worker.closed().at(-1)).toBe("connect after 200");
    worker.join();
    worker.now = 70_000;
    expect(worker.closed().at(-1)).toBe("connect after 100");
    worker.now = 130_001;
    expect(worker.closed()).toEqual(["exit COORDINATOR_UNREACHABLE"]);
    expect(worker.closed()).toEqual([]);
  });

  it("is told of with how long it was tried", () => {
    const worker = new WorkerTrace(59_600);
    worker.closed();
    worker.now = 60_000;
    const [exit] = worker.effects({ type: "closed", reason: "refused", jitter: 1 });
    expect(exit?.type === "exit" && exit.error?.message).toBe(
      "no coordinator could be reached for 60 s (2 attempts; last: refused)",
    );
  });
});

describe("a silent connection", () => {
  it("is kept alive by a heartbeat a second after anything else was said", () => {
    const worker = joined();
    expect(worker.pass(750)).toEqual([]);
    expect(worker.pass(250)).toEqual(["send heartbeat"]);
    worker.assign("train", 0, [0, 4]);
    worker.parameters(0);
    worker.pass(750);
    worker.computed("train", 0, 0, 4);
    expect(worker.pass(750)).toEqual([]);
    worker.feed({ type: "damaged", version: stepNumber(0) });
    expect(worker.pass(750)).toEqual([]);
  });

  it("is cut when a coordinator that is heard sends no welcome for 15 seconds", () => {
    const worker = new WorkerTrace();
    worker.pass(60_000);
    worker.opened();
    const waited = (seconds: number): string[] => {
      const lines: string[] = [];
      for (let second = 0; second < seconds; second++) {
        worker.message({ type: "heartbeat" });
        lines.push(...worker.pass(1_000).filter((line) => !line.includes("heartbeat")));
      }
      return lines;
    };
    expect(waited(15)).toEqual([]);
    expect(waited(1).slice(0, 2)).toEqual(["say the coordinator sent no welcome within 15 s", "disconnect"]);
  });

  it("is cut when nothing came for 15 seconds since it was made, however long it took to make it", () => {
    const worker = new WorkerTrace();
    worker.pass(60_000);
    worker.opened();
    expect(worker.pass(15_000)).not.toContain("disconnect");
    expect(worker.pass(250)).toContain("disconnect");
  });

  it("is cut when nothing came for 15 seconds", () => {
    const worker = joined();
    worker.pass(14_000);
    worker.message({ type: "heartbeat" });
    expect(worker.pass(15_000)).not.toContain("disconnect");
    expect(worker.pass(250)).toEqual(["say the coordinator was silent for 15 s", "disconnect"]);
    worker.closed();
    expect(worker.pass(60_000)).toEqual([]);
  });
});

describe("a worker ends", () => {
  it("with the run, in good order", () => {
    const worker = joined();
    const lines = worker.message({ type: "end", reason: "completed" });
    expect(lines).toEqual(["say the run has been completed", "exit in good order"]);
    expect(worker.computed("train", 0, 0, 1)).toEqual([]);
  });

  it("when it is asked to leave, also before it is connected", () => {
    expect(joined().feed({ type: "leave" })).toEqual(["send leave", "exit in good order"]);
    expect(new WorkerTrace().feed({ type: "leave" })).toEqual(["send leave", "exit in good order"]);
  });

  it("when it is refused or cannot use the data, with that code", () => {
    const refused = { type: "refused", code: "VERSION_MISMATCH", message: "no", hint: "" } as const;
    expect(joined().message(refused)).toEqual(["exit VERSION_MISMATCH"]);
    const error = new LockstepError("DATA_MISSING", "no data");
    expect(joined().feed({ type: "unprepared", error })).toEqual(["send failed", "exit DATA_MISSING"]);
  });

  it("once, whatever ended it and whatever its threads and its connection still say", () => {
    const error = new LockstepError("DATA_MISSING", "no data");
    const refused = { type: "refused", code: "VERSION_MISMATCH", message: "no", hint: "" } as const;
    const ends: readonly WorkerEvent[] = [
      { type: "leave" },
      { type: "unusable", error },
      { type: "unprepared", error },
      { type: "message", message: refused },
      { type: "message", message: { type: "end", reason: "stopped" } },
    ];
    for (const end of ends) {
      const worker = joined();
      worker.assign("train", 0, [0, 1]);
      expect(worker.feed(end).at(-1)).toMatch(/^exit/);
      expect(worker.computed("train", 0, 0, 1)).toEqual([]);
      expect(worker.closed()).toEqual([]);
    }
  });

  it("never because it was frozen on the way in: it connects again", () => {
    const worker = new WorkerTrace();
    worker.opened();
    const late = { type: "refused", code: "HANDSHAKE_TIMEOUT", message: "no hello within 10 s", hint: "" } as const;
    expect(worker.message(late)).toEqual(["say no hello within 10 s", "disconnect"]);
    expect(worker.closed().at(-1)).toBe("connect after 100");
  });

  it("never because of an assignment that nobody could compute: it connects again", () => {
    const worker = new WorkerTrace();
    worker.join();
    for (const node of [
      [0, 5],
      [1, 3],
      [2, 2],
      [3, 1],
    ] as const) {
      expect(worker.assign("train", 0, node).at(-1)).toBe("disconnect");
    }
    // Nor where one of them could be computed.
    expect(worker.assign("train", 0, [0, 2], [1, 3]).at(-1)).toBe("disconnect");
    const shards = (number: number, samples: number): string[] => {
      const work = { kind: "train", step: stepNumber(0) } as const;
      const rest = { works: 1, epoch: 0, offset: 0, nodes: [[0, 1]] } as const;
      return worker.message({ type: "assignment", work, shards: number, samples, ...rest });
    };
    // A shard has two samples at least, but where there is one alone.
    expect(shards(3, 5)).toContain("disconnect");
    expect(shards(2, 1)).toContain("disconnect");
    expect(shards(1, 1)).toEqual(["compute train 0: 0-1"]);
    expect(shards(2, 4)).toEqual(["compute train 0: 0-1"]);
    expect(worker.assign("train", 0, [2, 4])).not.toContain("disconnect");
  });

  it("never because of damaged parameters: it says so, and the coordinator knows whether they matter", () => {
    expect(joined().feed({ type: "damaged", version: stepNumber(3) })).toEqual(["send damaged"]);
  });

  it("never because of bytes that are no message: it connects again", () => {
    const violation = { type: "violation", error: new LockstepError("PROTOCOL_VIOLATION", "no message") } as const;
    expect(joined().feed(violation)).toEqual(["say no message", "disconnect"]);
  });
});
