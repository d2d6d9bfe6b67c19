import { describe, expect, it } from "vitest";
import type { Settings } from "../../../coordinator/core/settings.ts";
import { workerId } from "../../../shared/ids.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";

/** Workers that wait for each other; with two, a has 0-2 and b has 2-4 of the open step. */
function cluster(names: string, changes: Partial<Settings> = {}): CoordinatorTrace {
  const workers = names.split(" ");
  const run = new CoordinatorTrace({ startWorkers: workers.length, ...changes });
  for (const worker of workers) run.join(worker);
  return run;
}

const letGo = (worker: string): string[] => [
  `${worker} ← refused QUARANTINED`,
  `${worker} close`,
  "notify quarantined",
];

describe("an audited partial", () => {
  it("is given to two workers at once, and used when both have sent the same bits", () => {
    const run = cluster("a b", { audit: 1 });
    expect(run.owners()).toEqual({ "0-2": "a b", "2-4": "b a" });
    expect(run.assembled("a", "0-2")).toEqual([]);
    expect(run.segment("a", "0-2")).toEqual(["a ← PARTIAL_DUPLICATE train 0: 0-2"]);
    expect(run.assembled("b", "0-2")).toEqual(["compare a b 0-2"]);
    expect(run.compared("0-2", "a b")).toEqual(["fold a 0-2", "drop b 0-2"]);
    run.assembled("b", "2-4");
    run.assembled("a", "2-4");
    expect(run.compared("2-4", "b a").at(-1)).toBe("commit train 0");
    expect(run.state.audits).toBe(2);
  });

  it("is as often one as was asked for, and not always the same ones", () => {
    const audited: string[] = [];
    const run = cluster("a b", { audit: 0.25, epochs: 1_000, testSamples: 0 });
    for (let step = 0; step < 2_000; step++) {
      const { pieces, trusting } = run.state.work!;
      for (const [key, piece] of pieces) if (piece.copies === 2) audited.push(key);
      // A sum that is compared must be known by itself, also where the others are not.
      expect(trusting).toBe([...pieces.values()].every(({ copies }) => copies === 1));
      run.state.work!.pieces.forEach((piece) => (piece.copies = 1));
      run.finishWork();
    }
    const half = audited.filter((key) => key === "0-2").length;
    expect(audited.length / 4_000).toBeCloseTo(0.25, 1);
    expect(half / audited.length).toBeCloseTo(0.5, 1);
  });

  it("is not audited at 0", () => {
    expect(cluster("a b").owners()).toEqual({ "0-2": "a", "2-4": "b" });
  });

  it("of the only worker is computed by the coordinator's own engine", () => {
    const run = cluster("a", { audit: 1 });
    expect(run.assembled("a", "0-4")).toEqual(["judge 0-4"]);
    expect(run.judged("0-4", ["a"])).toEqual(["fold a 0-4", "commit train 0"]);
    expect(run.state.audits).toBe(1);
  });

  it("of the only worker is used unaudited where the coordinator's arithmetic is another", () => {
    const run = cluster("a", { audit: 1 });
    run.assembled("a", "0-4");
    expect(run.judged("0-4", undefined)).toEqual(["fold a 0-4", "commit train 0"]);
    expect(run.state.audits).toBe(0);
  });

  it("of the only worker is used unaudited under `exact: off`, and nobody else is asked", () => {
    const run = cluster("a", { audit: 1, exact: false });
    expect(run.assembled("a", "0-4")).toEqual(["fold a 0-4", "commit train 0"]);
  });

  it("that the coordinator has computed when its only worker is gone is asked about again, of the next one", () => {
    const run = cluster("a", { audit: 1 });
    run.assembled("a", "0-4");
    run.disconnect("a");
    expect(run.judged("0-4", [])).toEqual([]);
    run.join("b");
    expect(run.assembled("b", "0-4")).toEqual(["judge 0-4"]);
  });

  it("waits for a second worker where the run wants two", () => {
    const run = cluster("a b", { audit: 1, minWorkers: 2 });
    run.assembled("a", "0-2");
    run.disconnect("b");
    const unable = {
      type: "judged",
      work: run.state.work!.name,
      node: { start: 0, end: 2 },
      right: undefined,
    } as const;
    expect(run.told(unable)).toEqual([{ type: "waiting", workers: 1, needed: 2 }]);
    expect(run.pass(1_000)).toEqual([]);
    run.join("c");
    expect(run.assembled("c", "0-2")).toEqual(["compare a c 0-2"]);
  });

  it("is given to a third when the second worker is lost, whose sum is then worth nothing", () => {
    const run = cluster("a b c", { audit: 1, shards: 3 });
    expect(run.owners()["0-1"]).toBe("a b");
    run.assembled("b", "0-1");
    expect(run.disconnect("b")).toContain("drop b 0-1");
    expect(run.owners()["0-1"]).toBe("a c");
    run.assembled("a", "0-1");
    expect(run.assembled("c", "0-1")).toEqual(["compare a c 0-1"]);
  });
});

describe("two workers that differ", () => {
  function differing(names = "a b", changes: Partial<Settings> = {}): CoordinatorTrace {
    const run = cluster(names, { audit: 1, ...changes });
    run.assembled("a", "0-2");
    run.assembled("b", "0-2");
    return run;
  }

  it("are told apart by the coordinator's engine; the step begins anew without the liar, who is not let in again", () => {
    const run = differing();
    expect(run.compared("0-2", "a", "b")).toEqual(["notify warning PARTIAL_DISPUTED", "judge 0-2"]);
    expect(run.judged("0-2", ["b"])).toEqual([...letGo("a"), "open train 0", "b ← assignment train 0: 0-4"]);
    run.connect("x");
    expect(run.hello("x", { name: "a" }).slice(0, 3)).toEqual(["x proven", "x ← refused QUARANTINED", "x close"]);
    expect([...run.state.quarantined.values()]).toEqual([{ worker: "a", step: 1, since: 1 }]);
  });

  /** Also here: another connection of worker a that is ready, one that is joining, a stranger, and another worker. */
  function alsoThere(): CoordinatorTrace {
    const run = differing();
    for (const [connection, name] of Object.entries({ again: "a", joining: "a", other: "other" })) {
      run.connect(connection);
      run.hello(connection, { name });
    }
    run.ready("again");
    run.connect("a-stranger");
    run.compared("0-2", "a", "b");
    return run;
  }
  const allLetGo = [
    ...letGo("a"),
    "again ← refused QUARANTINED",
    "again close",
    "notify refused",
    "notify worker-lost",
    "joining ← refused QUARANTINED",
    "joining close",
    "notify refused",
    "open train 0",
  ];

  it("are told apart, and with the liar every other connection of its name is let go, and nobody else", () => {
    const run = alsoThere();
    expect(run.judged("0-2", ["b"]).slice(0, allLetGo.length)).toEqual(allLetGo);
    expect([...run.state.members.keys()]).toEqual(["b", "other", "a-stranger"]);
    expect(run.ready("joining")).toEqual([]);
  });

  it("are told apart by a third, and every other connection of the liar's name is let go too", () => {
    const run = alsoThere();
    run.judged("0-2", undefined);
    run.join("c");
    run.assembled("c", "0-2");
    expect(run.compared("0-2", "b c", "a").slice(0, allLetGo.length)).toEqual(allLetGo);
    expect([...run.state.members.keys()]).toEqual(["b", "other", "a-stranger", "c"]);
  });

  it("may both be wrong", () => {
    const run = differing();
    run.compared("0-2", "a", "b");
    expect(run.judged("0-2", [])).toEqual([...letGo("a"), ...letGo("b"), "notify waiting"]);
    expect(run.join("c").slice(0, 2)).toEqual(["notify worker-joined", "open train 0"]);
  });

  it("are told apart by a third worker where the coordinator's arithmetic is another, and wait for it", () => {
    const run = differing();
    run.compared("0-2", "a", "b");
    expect(run.judged("0-2", undefined)).toEqual(["notify warning PARTIAL_DISPUTED"]);
    expect(run.pass(5_000)).toEqual([]);
    expect(run.join("c")).toContain("c ← assignment train 0: 0-2");
    expect(run.assembled("c", "0-2")).toEqual(["compare a b c 0-2"]);
    expect(run.compared("0-2", "a c", "b").slice(0, 3)).toEqual(letGo("b"));
  });

  it("are told apart by a third also where the first of them is the liar", () => {
    const run = differing();
    run.compared("0-2", "a", "b");
    run.judged("0-2", undefined);
    run.join("c");
    run.assembled("c", "0-2");
    expect(run.compared("0-2", "a", "b c").slice(0, 3)).toEqual(letGo("a"));
  });

  it("are named, with the shards and what decides", () => {
    const disputed = (changes: Partial<Settings>, event: "compared" | "judged", notFinite = false): string => {
      const run = cluster("a b", { audit: 1, ...changes });
      const [work, node] = [run.state.work!.name, { start: 2, end: 4 }];
      run.assembled("b", "2-4");
      run.assembled("a", "2-4", "train 0", !notFinite);
      const compared = { type: "compared", work, node, groups: [[workerId("b")], [workerId("a")]] } as const;
      const first = run.told(compared);
      const [told] = event === "compared" ? first : run.told({ type: "judged", work, node, right: undefined });
      return told?.type === "warning" ? told.message : "";
    };
    const differed = "sent different bits for shards 2 to 3 of train step 0: ";
    expect(disputed({}, "compared")).toBe(`workers b and a ${differed}the coordinator computes it too`);
    expect(disputed({}, "judged")).toMatch(
      /: this coordinator cannot tell which are right, so one more worker has to decide$/,
    );
    expect(disputed({ exact: false }, "compared")).toContain(`${differed}under \`exact: off\` the first is used;`);
    expect(disputed({ exact: false }, "compared", true)).toContain("`exact: off` that of a is not finite;");
  });

  it("let go, have taken part since the step behind that which was open when they became ready", () => {
    const run = cluster("a b", { audit: 1, testSamples: 0 });
    run.disconnect("b");
    run.connect("c");
    run.hello("c");
    const next = (): void => {
      run.assembled("a", "0-2");
      run.assembled("a", "2-4");
      run.judged("0-2", ["a"]);
      run.judged("2-4", ["a"]);
      run.committed();
    };
    next();
    expect(run.state.steps).toBe(1);
    run.ready("c");
    const [node] = Object.keys(run.owners());
    run.assembled("a", node!);
    run.assembled("c", node!);
    run.compared(node!, "a", "c");
    run.judged(node!, ["a"]);
    expect([...run.state.quarantined.values()]).toEqual([{ worker: "c", step: 2, since: 2 }]);
  });

  it("are told apart by another even when one of them is gone: nobody has confirmed the other", () => {
    const run = differing();
    run.compared("0-2", "a", "b");
    run.judged("0-2", undefined);
    expect(run.disconnect("b")).toEqual(["notify worker-lost", "drop b 0-2", "drop b 2-4"]);
    run.join("c");
    run.assembled("c", "0-2");
    expect(run.owners()["0-2"]).toBe("a c");
  });

  it("are decided by a third also after one of those that differed is gone", () => {
    const run = differing("a b c", { shards: 2 });
    run.assembled("a", "0-1");
    run.assembled("b", "0-1");
    run.compared("0-1", "a", "b");
    run.judged("0-1", undefined);
    run.assembled("c", "0-1");
    run.compared("0-1", "a", "b", "c");
    run.disconnect("a");
    run.join("d");
    expect(run.assembled("d", "0-1")).toEqual(["compare b c d 0-1"]);
  });

  it("are decided by two others where both are gone", () => {
    const run = differing();
    run.compared("0-2", "a", "b");
    run.judged("0-2", undefined);
    run.disconnect("a");
    run.disconnect("b");
    run.join("c");
    expect(run.assembled("c", "0-2")).toEqual([]);
    run.join("d");
    expect(run.assembled("d", "0-2")).toEqual(["compare c d 0-2"]);
  });

  it("are not one worker that has come back while its old connection still counts", () => {
    const run = cluster("a b", { audit: 1, shards: 2 });
    expect(run.owners()).toEqual({ "0-1": "a b", "1-2": "b a" });
    run.connect("x");
    run.hello("x", { name: "a" });
    run.ready("x");
    run.disconnect("b");
    expect(run.owners()).toEqual({ "0-1": "a", "1-2": "a" });
  });

  it("ask a fourth when the third agrees with neither", () => {
    const run = differing("a b c d", { shards: 2 });
    run.compared("0-1", "a", "b");
    run.assembled("a", "0-1");
    run.assembled("b", "0-1");
    run.compared("0-1", "a", "b");
    run.judged("0-1", undefined);
    run.assembled("c", "0-1");
    expect(run.compared("0-1", "a", "b", "c")).toContain("notify warning PARTIAL_DISPUTED");
    expect(run.owners()["0-1"]).toBe("a b c d");
  });

  it("under `exact: off` are reported, and neither is let go", () => {
    const run = differing("a b", { exact: false });
    expect(run.compared("0-2", "a", "b")).toEqual(["notify warning PARTIAL_DISPUTED", "fold a 0-2", "drop b 0-2"]);
  });

  it("under `exact: off` are reported once, however often they differ, and so is every other pair", () => {
    const run = cluster("a b c", { exact: false, audit: 1, shards: 3, epochs: 1_000, testSamples: 0 });
    const pairs = new Set<string>();
    let said = 0;
    for (let step = 0; step < 20; step++) {
      for (const [node, owners] of Object.entries(run.owners())) {
        const workers = owners.split(" ");
        pairs.add(workers.toSorted().join(" "));
        for (const worker of workers) run.assembled(worker, node);
        if (run.compared(node, ...workers).includes("notify warning PARTIAL_DISPUTED")) said += 1;
      }
      run.committed();
    }
    expect(pairs.size).toBeGreaterThan(1);
    expect(said).toBe(pairs.size);
    expect(run.state.failures.size).toBe(0);
  });

  it("under `exact: off` rest where one sent a sum that is not finite and the other one that is", () => {
    const run = cluster("a b", { exact: false });
    run.feed({ type: "spoiled", by: [] });
    run.assembled("a", "0-2", "train 0", false);
    run.assembled("b", "0-2");
    expect(run.compared("0-2", "b", "a")).toEqual(["notify warning PARTIAL_DISPUTED", "fold b 0-2", "drop a 0-2"]);
    expect([...run.state.failures.keys()]).toEqual(["a"]);
    run.assembled("b", "2-4");
    run.committed();
    run.finishWork();
    expect(new Set(Object.values(run.owners()))).toEqual(new Set(["b"]));
  });

  it("under `exact: off` have not failed where neither sum is finite, though their bits differ", () => {
    const run = cluster("a b", { exact: false });
    run.feed({ type: "spoiled", by: [] });
    run.assembled("a", "0-2", "train 0", false);
    run.assembled("b", "0-2", "train 0", false);
    run.compared("0-2", "a", "b");
    expect(run.state.failures.size).toBe(0);
  });

  it("are judged once: what the engine says later changes nothing", () => {
    const run = differing();
    run.compared("0-2", "a", "b");
    run.judged("0-2", ["a"]);
    expect(run.judged("0-2", ["b"])).toEqual([]);
  });

  it("are compared and judged in no other step, and where none is open in none", () => {
    const node = { start: 0, end: 2 };
    const run = cluster("a b", { audit: 1, trainSamples: 80 });
    const work = run.state.work!.name;
    const finish = (): void => {
      for (const [key, owners] of Object.entries(run.owners())) {
        for (const worker of owners.split(" ")) run.assembled(worker, key);
        run.compared(key, owners);
      }
      run.committed();
    };
    const late = (): string[] => [
      ...run.feed({ type: "compared", work, node, groups: [[workerId("a"), workerId("b")]] }),
      ...run.feed({ type: "judged", work, node, right: [workerId("b")] }),
    ];
    finish();
    for (const worker of ["a", "b"]) run.assembled(worker, "0-2");
    run.compared("0-2", "a", "b");
    expect(late()).toEqual([]);
    expect(run.judged("0-2", ["a", "b"])).toContain("fold a 0-2");
    run.feed({ type: "pause" });
    for (const worker of ["b", "a"]) run.assembled(worker, "2-4");
    run.compared("2-4", "b a");
    run.committed();
    // What was assigned ahead is taken yet.
    while (run.state.work !== undefined) finish();
    expect(run.state.pausedSince).toBeDefined();
    expect(late()).toEqual([]);
  });

  it("are judged in the step that they differ in: what was asked before it began anew is no answer", () => {
    const run = differing();
    run.compared("0-2", "a", "b");
    // Of two that are there, the shards are cut as before.
    run.join("c");
    run.assembled("a", "2-4");
    run.assembled("b", "2-4");
    expect(run.compared("2-4", "a", "b")).toContain("judge 2-4");
    expect(run.judged("2-4", ["b"])).toContain("open train 0");
    expect(run.owners()).toEqual({ "0-2": "b c", "2-4": "c b" });
    expect(run.judged("0-2", undefined)).toEqual([]);
    run.assembled("b", "0-2");
    run.assembled("c", "0-2");
    expect(run.compared("0-2", "b", "c")).toEqual(["notify warning PARTIAL_DISPUTED", "judge 0-2"]);
  });
});

describe("a partial that is not finite, in a step that trusts nobody", () => {
  const careful = (names: string): CoordinatorTrace => {
    const run = cluster(names);
    run.feed({ type: "spoiled", by: [] });
    return run;
  };

  it("is computed by another worker, and used if that one's bits are the same: training has diverged", () => {
    const run = careful("a b");
    expect(run.assembled("a", "0-2", "train 0", false)).toEqual(["b ← assignment train 0: 0-2"]);
    run.assembled("b", "2-4");
    expect(run.assembled("b", "0-2", "train 0", false)).toEqual(["compare a b 0-2"]);
    expect(run.compared("0-2", "b a")).toEqual(["fold b 0-2", "drop a 0-2", "commit train 0"]);
    expect(run.committed(Number.NaN, false)).toContain("finish LOSS_NOT_FINITE");
  });

  it("of one worker alone quarantines it", () => {
    const run = careful("a b");
    run.assembled("a", "0-2", "train 0", false);
    run.assembled("b", "0-2");
    run.compared("0-2", "b", "a");
    expect(run.judged("0-2", ["b"]).slice(0, 3)).toEqual(letGo("a"));
  });

  it("without another worker is computed by the coordinator, and used where that cannot tell", () => {
    const run = careful("a");
    expect(run.assembled("a", "0-4", "train 0", false)).toEqual(["judge 0-4"]);
    expect(run.judged("0-4", undefined)).toEqual(["fold a 0-4", "commit train 0"]);
  });
});

it("a resumed run remembers who was quarantined", () => {
  const run = new CoordinatorTrace({}, { quarantined: [{ worker: "a", step: 7, since: 3 }] });
  run.connect("x");
  expect(run.hello("x", { name: "a" })[1]).toBe("x ← refused QUARANTINED");
});
