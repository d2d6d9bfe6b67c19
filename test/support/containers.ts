/**
 * The cluster of docker-compose.yml on a real Docker Engine, by testcontainers and docker-compose 1.29; it is gone, with its
 * volumes, when `remove` is called. What the coordinator says is read from its log.
 */
import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DockerComposeEnvironment, Wait } from "testcontainers";
import type { StartedDockerComposeEnvironment } from "testcontainers";
import type { RunEvent } from "../../coordinator/events.ts";
import { eventIn, finished } from "./lockstep-process.ts";
import type { Finished } from "./lockstep-process.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const base = process.env.LOCKSTEP_BASE_IMAGE ?? "lockstep-base";
const image = "lockstep-test";

/** Why there can be no containers here, or undefined. */
export const cannotRunContainers: string | undefined = (() => {
  for (const words of ["docker version", "docker-compose version", `docker image inspect ${base}`]) {
    const [command, ...args] = words.split(" ");
    try {
      execFileSync(command!, args, { stdio: "ignore" });
    } catch {
      return `${words} fails`;
    }
  }
  return undefined;
})();

const run = async (command: string, args: readonly string[], environment = {}): Promise<string> => {
  const options = { cwd: root, maxBuffer: 1 << 28, env: { ...process.env, ...environment } };
  const { stdout, stderr } = await promisify(execFile)(command, [...args], options);
  return stdout + stderr;
};

export const docker = (...words: string[]): Promise<string> => run("docker", words);

/** What a command said that must not end well. */
export async function failedCommand(command: Promise<string>): Promise<Finished> {
  try {
    await command;
  } catch (error) {
    const { code, stdout, stderr } = error as Finished;
    return finished(code, stdout, stderr);
  }
  throw new Error("the command ended well");
}

/** Builds the image from the sources as they are. */
export const buildImage = (): Promise<string> =>
  run("docker", ["build", "--build-arg", `BASE=${base}`, "--tag", image, "."], { DOCKER_BUILDKIT: "0" });

export class ContainerCluster {
  readonly #project = `lockstep-${randomBytes(4).toString("hex")}`;
  readonly #settings: Record<string, string>;
  #environment: StartedDockerComposeEnvironment | undefined;

  /** @param settings variables of docker-compose.yml */
  constructor(settings: Record<string, string>) {
    this.#settings = {
      LOCKSTEP_IMAGE: image,
      LOCKSTEP_PUBLISH: "127.0.0.1:",
      LOCKSTEP_HEALTH_INTERVAL: "2s",
      LOCKSTEP_LOG_LEVEL: "debug",
      ...settings,
    };
  }

  /** Starts everyone, and waits until the health checks of all are content. */
  async up(workers: number): Promise<void> {
    process.env.TESTCONTAINERS_RYUK_DISABLED = "true";
    this.#environment = await new DockerComposeEnvironment(root, "docker-compose.yml")
      .withProjectName(this.#project)
      .withEnvironment(this.#settings)
      .withClientOptions({
        executable: { standalone: true, executablePath: "docker-compose" },
        commandOptions: ["--no-build", "--scale", `worker=${workers}`],
      })
      .withDefaultWaitStrategy(Wait.forHealthCheck().withStartupTimeout(60_000))
      .up();
  }

  async remove(): Promise<void> {
    await this.#environment?.down({ removeVolumes: true, timeout: 1 });
  }

  /** `docker-compose WORDS` on this cluster. */
  compose(...words: string[]): Promise<string> {
    return run("docker-compose", ["-p", this.#project, ...words], this.#settings);
  }

  get network(): string {
    return `${this.#project}_default`;
  }

  /** The containers of a service, by their numbers; those that have ended too. */
  async containers(service: "coordinator" | "worker"): Promise<string[]> {
    const label = (key: string, value: string): string[] => ["--filter", `label=com.docker.compose.${key}=${value}`];
    const format = '{{.Label "com.docker.compose.container-number"}} {{.ID}}';
    const filters = [...label("project", this.#project), ...label("service", service)];
    const lines = (await docker("ps", "--all", ...filters, "--format", format)).trim().split("\n");
    const sorted = lines.toSorted((one, other) => Number.parseInt(one, 10) - Number.parseInt(other, 10));
    return sorted.map((line) => line.split(" ")[1]!);
  }

  async coordinator(): Promise<string> {
    return (await this.containers("coordinator"))[0]!;
  }

  /** All that the coordinator's present container has told so far. */
  async events(): Promise<RunEvent[]> {
    const lines = (await docker("logs", await this.coordinator())).split("\n");
    return lines.map(eventIn).filter((event) => event !== undefined);
  }

  /** Waits for an event after the first `since`; rejects with the log if the coordinator ends before, or 60 s pass. */
  async event<Type extends RunEvent["type"]>(
    type: Type,
    since = 0,
    matches: (event: Extract<RunEvent, { type: Type }>) => boolean = () => true,
  ): Promise<Extract<RunEvent, { type: Type }>> {
    for (let waited = 0; waited < 120; waited++) {
      const events = (await this.events()).slice(since);
      const found = events.find(
        (event): event is Extract<RunEvent, { type: Type }> =>
          event.type === type && matches(event as Extract<RunEvent, { type: Type }>),
      );
      if (found !== undefined) return found;
      if (events.some((event) => event.type === "finished")) break;
      await sleep(500);
    }
    throw new Error(`no ${type}:\n${(await docker("logs", "--tail", "20", await this.coordinator())).slice(-4000)}`);
  }

  /** The first step in which so many workers take part. */
  working(workers: number, since = 0): Promise<Extract<RunEvent, { type: "step" }>> {
    return this.event("step", since, (event) => event.workers === workers);
  }
}
