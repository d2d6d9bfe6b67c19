/**
 * The Kubernetes manifests against what they start: commands and flags that there are, pages that are served, names that meet; and
 * what they have in common with docker-compose.yml.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { buildProgram } from "../../coordinator/cli/program.ts";

interface Container {
  readonly name: string;
  readonly args: readonly string[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly [probe: `${string}Probe`]: { readonly httpGet: { readonly path: string; readonly port: string } };
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly ports: readonly { readonly port: number; readonly targetPort: string }[];
    readonly selector: Readonly<Record<string, string>>;
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly hostname?: string;
        readonly containers: readonly Container[];
        readonly volumes: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[];
      };
    };
  };
}

const folder = new URL("../../deploy/kubernetes/", import.meta.url);
const manifests = readdirSync(folder).flatMap((file) =>
  parseAllDocuments(readFileSync(new URL(file, folder), "utf8")).map((document) => document.toJS() as Manifest),
);
const named = (kind: string, name: string): Manifest =>
  manifests.find((each) => each.kind === kind && each.metadata.name === name)!;
const pods = [named("Job", "lockstep-coordinator"), named("Deployment", "lockstep-worker")];
const containers = pods.map(({ spec }) => spec.template.spec.containers[0]!);

describe.each(containers.map((container) => [container.name, container] as const))(
  "the %s's pod",
  (name, container) => {
    it("starts a command that there is, with flags that it has", () => {
      const command = buildProgram().commands.find((each) => each.name() === name)!;
      expect(container.args[0]).toBe(name);
      const flags = container.args.slice(1).flatMap((arg) => /^--[a-z-]+/.exec(arg) ?? []);
      expect(flags.length).toBeGreaterThan(1);
      for (const flag of flags) expect(command.options.map(({ long }) => long)).toContain(flag);
    });

    it("mounts the volumes it has, and the token where its flag says", () => {
      const { volumes } = pods.find(({ spec }) => spec.template.spec.containers[0] === container)!.spec.template.spec;
      expect(container.volumeMounts.map((mount) => mount.name).toSorted()).toEqual(
        volumes.map((volume) => volume.name).toSorted(),
      );
      const token = container.volumeMounts.find((mount) => mount.name === "token")!;
      expect(container.args).toContain(`--token-file=${token.mountPath}/join-token`);
      expect(volumes.find((volume) => volume.name === "token")?.secret?.secretName).toBe("lockstep-token");
    });
  },
);

it("workers reach the coordinator by its service, at the port where it listens", () => {
  const [coordinator, worker] = containers as [Container, Container];
  const { spec } = named("Service", "lockstep-coordinator");
  const [service] = spec.ports;
  const { containerPort, name } = coordinator.ports![0]!;
  expect(service!.targetPort).toBe(name);
  expect(coordinator.args).toContain(`--port=${containerPort}`);
  expect(worker.args[1]).toBe(`ws://lockstep-coordinator:${service!.port}`);
  expect(pods[0]!.spec.template.metadata.labels).toMatchObject(spec.selector);
});

it("probes ask for the pages that say so", () => {
  const [coordinator] = containers as [Container];
  expect(coordinator.livenessProbe!.httpGet).toEqual({ path: "/healthz", port: "lockstep" });
  expect(coordinator.startupProbe!.httpGet).toEqual({ path: "/healthz", port: "lockstep" });
  expect(coordinator.readinessProbe!.httpGet).toEqual({ path: "/readyz", port: "lockstep" });
});

it("a coordinator that is made anew has the host name of the one before, whose lock it else took for another host's", () => {
  const compose = parse(readFileSync(new URL("../../docker-compose.yml", import.meta.url), "utf8"), {
    merge: true,
  }) as { readonly services: { readonly coordinator: { readonly hostname?: string } } };
  expect(compose.services.coordinator.hostname).toBe("coordinator");
  expect(pods.map(({ spec }) => spec.template.spec.hostname)).toEqual(["lockstep-coordinator", undefined]);
});
