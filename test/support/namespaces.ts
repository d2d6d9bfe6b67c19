/**
 * Hosts for tests, as Linux network namespaces: each has one interface with an address, and a bridge in a namespace of its
 * own joins them. What one host hears of another can be dropped, links can be slowed, interfaces taken down; nothing
 * outside of the namespaces changes. Needs root and the commands ip, tc and iptables.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { Lockstep } from "./lockstep-process.ts";

/** Runs a command given as words with spaces between; throws what it says if it fails. */
function run(words: string): string {
  const [command, ...args] = words.split(" ");
  return execFileSync(command!, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

const BRIDGE = "bridge";
/** What a host calls its interface. */
export const INTERFACE = "eth0";

export class Network<Host extends string> {
  readonly #hosts: readonly Host[];
  // Several processes may have networks at the same time, and one that was killed leaves its own behind.
  readonly #id = `lockstep-${randomBytes(5).toString("hex")}`;
  readonly #namespaces: string[] = [];
  readonly #processes: Lockstep[] = [];

  /** Makes the namespaces; whoever makes a network closes it. */
  constructor(hosts: readonly Host[]) {
    this.#hosts = hosts;
    try {
      this.#add(BRIDGE);
      this.#in(BRIDGE, `ip link add name ${BRIDGE} type bridge`);
      this.#in(BRIDGE, `ip link set dev ${BRIDGE} up`);
      for (const host of hosts) this.#join(host);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** An address that only the hosts of this network reach. */
  addressOf(host: Host): string {
    return `10.77.0.${this.#hosts.indexOf(host) + 1}`;
  }

  /** The command that runs the command behind it on a host. */
  prefixOf(host: Host): readonly string[] {
    return ["ip", "netns", "exec", this.#nameOf(host)];
  }

  /** Starts a process on a host; it is killed when the network is closed, if not before. */
  start(host: Host, program: ConstructorParameters<typeof Lockstep>[0], args: string[], environment = {}): Lockstep {
    const process = new Lockstep(program, args, undefined, environment, this.prefixOf(host));
    this.#processes.push(process);
    return process;
  }

  /** From now on `listener` receives no packet from `speaker`. */
  drop(speaker: Host, listener: Host): void {
    this.#in(listener, `iptables -w -A INPUT -s ${this.addressOf(speaker)} -j DROP`);
  }

  /** It receives them again. Returns how many packets were dropped. */
  allow(speaker: Host, listener: Host): number {
    const address = this.addressOf(speaker);
    const rules = this.#in(listener, "iptables -w -L INPUT -v -x -n").split("\n");
    const rule = rules.find((line) => line.split(/\s+/).includes(address));
    this.#in(listener, `iptables -w -D INPUT -s ${address} -j DROP`);
    return Number(/^\s*(\d+)/.exec(rule!)![1]);
  }

  /**
   * From now on so many kilobits a second pass each way; a second's worth more waits, and the rest is dropped.
   * @param burst so many kilobytes pass at once: what the rate lets through between two ticks of the kernel, or more
   */
  slow(host: Host, kilobits: number, burst = 4): void {
    const queue = `root tbf rate ${kilobits}kbit burst ${burst}kb latency 1s`;
    for (const [place, link] of this.#endsOf(host)) this.#in(place, `tc qdisc add dev ${link} ${queue}`);
  }

  /** The link is as fast as the machine again. Returns how many packets were dropped for their number. */
  unslow(host: Host): number {
    const dropped = this.#endsOf(host).map(([place, link]) => {
      const statistics = this.#in(place, `tc -s qdisc show dev ${link}`);
      this.#in(place, `tc qdisc del dev ${link} root`);
      return Number(/dropped (\d+)/.exec(statistics)![1]);
    });
    return Math.max(...dropped);
  }

  /** Bytes that the host has sent and received. */
  traffic(host: Host): { readonly sent: number; readonly received: number } {
    const [{ stats64 }] = JSON.parse(this.#in(host, `ip -s -j link show dev ${INTERFACE}`));
    return { sent: stats64.tx.bytes, received: stats64.rx.bytes };
  }

  /** Takes the host's interface down or up. */
  set(host: Host, state: "down" | "up"): void {
    this.#in(host, `ip link set dev ${INTERFACE} ${state}`);
  }

  /** Kills what runs on the hosts and removes them. */
  close(): void {
    for (const each of this.#processes) each.killAll();
    for (const namespace of this.#namespaces) run(`ip netns delete ${namespace}`);
  }

  #add(name: string): void {
    const namespace = this.#nameOf(name);
    run(`ip netns add ${namespace}`);
    this.#namespaces.push(namespace);
  }

  /** Adds a host and a cable from its interface to a port of the bridge, which is called like the host. */
  #join(host: Host): void {
    this.#add(host);
    const port = `${host} netns ${this.#nameOf(BRIDGE)}`;
    run(`ip link add name ${INTERFACE} netns ${this.#nameOf(host)} type veth peer name ${port}`);
    this.#in(BRIDGE, `ip link set dev ${host} master ${BRIDGE} up`);
    this.#in(host, `ip address add ${this.addressOf(host)}/24 dev ${INTERFACE}`);
    this.#in(host, `ip link set dev ${INTERFACE} up`);
    this.#in(host, "ip link set dev lo up");
  }

  /** Where packets from and to a host leave an interface, which is where they can be held back. */
  #endsOf(host: Host): readonly (readonly [namespace: string, link: string])[] {
    return [
      [host, INTERFACE],
      [BRIDGE, host],
    ];
  }

  #nameOf(name: string): string {
    return `${this.#id}-${name}`;
  }

  #in(name: string, words: string): string {
    return run(`ip netns exec ${this.#nameOf(name)} ${words}`);
  }
}

/** Why this system has no such hosts, as it says itself; undefined where everything that they need works. */
export function whyNoHosts(): string | undefined {
  try {
    const network = new Network(["one", "two"]);
    try {
      network.drop("one", "two");
      network.allow("one", "two");
      network.slow("one", 1_000);
      network.unslow("one");
    } finally {
      network.close();
    }
    return undefined;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    return (stderr || message).trim();
  }
}
