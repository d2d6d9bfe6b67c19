/**
 * The cluster of docker-compose.yml on a real Docker Engine: it trains to the bits of a local run, whatever containers are killed,
 * cut off, added, removed and made anew on the way.
 */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { buildImage, cannotRunContainers, ContainerCluster, docker, failedCommand } from "../support/containers.ts";
import { asEvents, Lockstep } from "../support/lockstep-process.ts";
import { writeMnistPart } from "../support/mnist.ts";

const secret = "correct-horse-battery-staple";
/** The workers have no files: they fetch the digits from the coordinator. Wide enough that containers take a minute or more. */
const job = (epochs: number): string => `
data: { idx: digits }
model: { layers: [{ dense: { units: 400, activation: relu } }, { dense: 10 }] }
batch: 96
epochs: ${epochs}
seed: 3
checkpoint: { everySeconds: 2 }
`;
const SHORT = 2;
const LONG = 80;

const skipped = cannotRunContainers === undefined ? "" : ` (skipped: ${cannotRunContainers})`;

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

interface Place {
  readonly folder: string;
  readonly settings: Record<string, string>;
}

async function place(epochs: number): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), "lockstep-container-"));
  folders.push(folder);
  // The containers' user is another.
  await chmod(folder, 0o755);
  await writeMnistPart(join(folder, "digits"), 4_001, 700);
  await writeFile(join(folder, "job.yaml"), job(epochs));
  const LOCKSTEP_TOKEN_FILE = join(folder, "join.token");
  await writeFile(LOCKSTEP_TOKEN_FILE, `${secret}\n`);
  return { folder, settings: { LOCKSTEP_TOKEN_FILE, LOCKSTEP_FILES: folder, LOCKSTEP_JOB: "/job/job.yaml" } };
}

async function localHash({ folder }: Place): Promise<string> {
  const run = new Lockstep("coordinator/cli/main.ts", ["train", "job.yaml", "--name", "local", ...asEvents], folder);
  try {
    return (await run.result()).parametersSha256;
  } finally {
    run.killAll();
  }
}

describe.skipIf(cannotRunContainers !== undefined)(`containers${skipped}`, () => {
  beforeAll(() => buildImage(), 300_000);

  test("the image is small, and runs as nobody in particular", async () => {
    const [size, user] = (await docker("image", "inspect", "--format", "{{.Size}} {{.Config.User}}", "lockstep-test"))
      .trim()
      .split(" ");
    expect(Number(size) / 1e6).toBeLessThan(280);
    expect(user).toBe("1000:1000");
  });

  test("compose without a token says how to make one", async () => {
    const cluster = new ContainerCluster({});
    await expect(cluster.compose("up")).rejects.toThrow(/A cluster needs a join token\. Make one with/);
  });

  test("three workers that fetch the data train to the hash of a local run", async () => {
    const where = await place(SHORT);
    const hash = await localHash(where);
    const cluster = new ContainerCluster(where.settings);
    try {
      await cluster.up(3);
      const port = (await docker("port", await cluster.coordinator(), "7000")).trim().split("\n")[0];
      const { result } = await cluster.event("finished");
      expect(result.parametersSha256).toBe(hash);
      expect((await cluster.events()).filter(({ type }) => type === "worker-joined").length).toBeGreaterThanOrEqual(1);
      expect(port).toMatch(/^127\.0\.0\.1:\d+$/);
      for (const container of [await cluster.coordinator(), ...(await cluster.containers("worker"))])
        await expect
          .poll(() => docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", container), {
            timeout: 20_000,
          })
          .toMatch(/^exited 0/);
    } finally {
      await cluster.remove();
    }
  }, 180_000);

  describe("a run that is disturbed", () => {
    let cluster: ContainerCluster;
    let hash: string;

    beforeAll(async () => {
      const where = await place(LONG);
      hash = await localHash(where);
      cluster = new ContainerCluster(where.settings);
      await cluster.up(3);
      await cluster.working(3);
    }, 240_000);
    afterAll(() => cluster.remove(), 60_000);

    const told = async (): Promise<number> => (await cluster.events()).length;

    test("shows metrics at the published port to who has the reader's token", async () => {
      const address = (await docker("port", await cluster.coordinator(), "7000")).trim().split("\n")[0];
      expect((await fetch(`http://${address}/healthz`)).status).toBe(200);
      expect((await fetch(`http://${address}/metrics`)).status).toBe(401);
      const authorization = `Bearer ${JoinToken.from(secret, "test").derived("reader")}`;
      const page = await (await fetch(`http://${address}/metrics`, { headers: { authorization } })).text();
      expect(page).toMatch(/^lockstep_workers\{run="cluster"\} 3$/m);
    }, 60_000);

    test("tells a worker with another token, and a second coordinator on the run folder, what is wrong, and goes on", async () => {
      const stranger = docker(
        "run",
        "--rm",
        "--network",
        cluster.network,
        "--env",
        "LOCKSTEP_TOKEN=not-the-one-that-it-has",
        "lockstep-test",
        "worker",
        "ws://coordinator:7000",
      );
      expect(await failedCommand(stranger)).toMatchObject({
        code: 1,
        error: expect.stringMatching(/did not prove that it knows .*\[TOKEN_REFUSED\]\n {2}what to do: /),
      });
      expect(await failedCommand(cluster.compose("run", "--rm", "-T", "coordinator"))).toMatchObject({
        code: 1,
        error: expect.stringMatching(/\/runs\/cluster is in use by process 1 \[RUN_LOCKED\]\n {2}what to do: /),
      });
      await cluster.working(3, await told());
    }, 60_000);

    test("goes on when a worker is killed, and takes it back when it is started", async () => {
      const since = await told();
      const [, victim] = await cluster.containers("worker");
      await docker("kill", victim!);
      // A worker is named after its host, which a container's number is.
      expect((await cluster.event("worker-lost", since)).worker).toContain(victim);
      await cluster.working(2, since);
      await docker("start", victim!);
      expect((await cluster.event("worker-joined", since)).worker).toContain(victim);
    }, 90_000);

    test("has a worker that died started again by its restart policy", async () => {
      const since = await told();
      const [first] = await cluster.containers("worker");
      const pid = Number(await docker("inspect", "--format", "{{.State.Pid}}", first!));
      process.kill(pid, "SIGKILL");
      expect((await cluster.event("worker-lost", since)).worker).toContain(first);
      expect((await cluster.event("worker-joined", since)).worker).toContain(first);
    }, 90_000);

    test("goes on when a worker's network is cut, and takes it back when it is not any more", async () => {
      const since = await told();
      const [, , cut] = await cluster.containers("worker");
      await docker("network", "disconnect", cluster.network, cut!);
      expect((await cluster.event("worker-lost", since)).worker).toContain(cut);
      await docker("network", "connect", cluster.network, cut!);
      expect((await cluster.event("worker-joined", since)).worker).toContain(cut);
    }, 90_000);

    test("goes on from a checkpoint when the coordinator is killed and started", async () => {
      const since = await told();
      await docker("kill", await cluster.coordinator());
      await docker("start", await cluster.coordinator());
      const { resumedAt } = await cluster.event("listening", since);
      expect(resumedAt).toBeGreaterThan(0);
      await cluster.working(3, since);
    }, 90_000);

    test("goes on with more workers, and with fewer", async () => {
      const since = await told();
      await cluster.compose("up", "--detach", "--no-build", "--no-recreate", "--scale", "worker=5");
      expect(await cluster.working(5, since)).toMatchObject({ workers: 5 });
      const more = await told();
      await cluster.compose("up", "--detach", "--no-build", "--no-recreate", "--scale", "worker=2");
      expect(await cluster.working(2, more)).toMatchObject({ workers: 2 });
    }, 120_000);

    test("goes on in a new container when the coordinator's is destroyed, with nothing to delete by hand", async () => {
      const before = await cluster.coordinator();
      await docker("kill", before);
      await docker("rm", before);
      await cluster.compose("up", "--detach", "--no-build", "--no-recreate", "--scale", "worker=2");
      expect(await cluster.coordinator()).not.toBe(before);
      const { resumedAt } = await cluster.event("listening");
      expect(resumedAt).toBeGreaterThan(0);
      await cluster.working(2);
    }, 90_000);

    test("and ends in the bits of a local run that nothing happened to", async () => {
      const { result } = await (async () => {
        for (;;) {
          const finished = (await cluster.events()).find((event) => event.type === "finished");
          if (finished !== undefined) return finished;
          await sleep(1_000);
        }
      })();
      expect(result.outcome).toBe("completed");
      expect(result.parametersSha256).toBe(hash);
    }, 240_000);
  });
});
