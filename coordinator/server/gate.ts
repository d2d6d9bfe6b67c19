/**
 * Who may open a connection at all, decided before anything is done for it: how many connections there may be, how many of
 * them strangers (that have not proven that they may join), and how many failed joins an address has in a minute. It only
 * counts; the server asks it.
 */
import { isIPv6 } from "node:net";
import { LockstepError } from "../../shared/errors.ts";

/** Each stranger may hold some tens of kilobytes and a socket, for as long as the handshake's deadline. */
const MOST_STRANGERS = 64;
const MOST_FAILURES = 10;
const FAILURES_WITHIN = 60_000;
/** Addresses remembered; the oldest are forgotten first. */
const MOST_ADDRESSES = 10_000;

/** One connection, from the upgrade to its close. */
export interface Visit {
  /** It has proven that it may join. */
  proven(): void;
  /** It is closed; one that never proved itself counts as a failed join. */
  gone(now: number): void;
}

export class Gate {
  readonly #mostConnections: number;
  readonly #failures = new Map<string, { count: number; readonly since: number }>();
  #connections = 0;
  #strangers = 0;

  /** @param mostConnections strangers included */
  constructor(mostConnections: number) {
    this.#mostConnections = mostConnections;
  }

  /** Lets a connection from an address in, or says why not, with CONNECTION_REFUSED. Times are milliseconds. */
  admit(address: string, now: number): Visit | LockstepError {
    const network = networkOf(address);
    const barred = this.objectionTo(address, now);
    if (barred !== undefined) return barred;
    if (this.#connections >= this.#mostConnections)
      return refusal(
        `all ${this.#mostConnections} connections are in use`,
        "raise the coordinator's --max-connections if that many workers are wanted",
      );
    if (this.#strangers >= MOST_STRANGERS)
      return refusal(`${MOST_STRANGERS} connections are joining at this moment`, "come again in a second");
    return this.#enter(network);
  }

  /** Why nothing is taken from an address for now, or undefined. */
  objectionTo(address: string, now: number): LockstepError | undefined {
    const network = networkOf(address);
    const failures = this.#failures.get(network);
    if (failures === undefined || failures.count < MOST_FAILURES || now - failures.since >= FAILURES_WITHIN)
      return undefined;
    return refusal(`${MOST_FAILURES} joins from ${network} failed within a minute`, "wait a minute");
  }

  /** Someone at an address named a token that is not the run's: it counts as a failed join. */
  failed(address: string, now: number): void {
    this.#remember(networkOf(address), now);
  }

  #enter(network: string): Visit {
    let proven = false;
    this.#connections += 1;
    this.#strangers += 1;
    return {
      proven: () => {
        if (!proven) this.#strangers -= 1;
        proven = true;
      },
      gone: (now) => {
        this.#connections -= 1;
        if (proven) return;
        this.#strangers -= 1;
        this.#remember(network, now);
      },
    };
  }

  #remember(network: string, now: number): void {
    const failures = this.#failures.get(network);
    if (failures !== undefined && now - failures.since < FAILURES_WITHIN) {
      failures.count += 1;
      return;
    }
    // Set anew, it is the youngest of the map.
    this.#failures.delete(network);
    this.#failures.set(network, { count: 1, since: now });
    if (this.#failures.size > MOST_ADDRESSES) this.#failures.delete(this.#failures.keys().next().value!);
  }
}

const refusal = (sentence: string, hint: string): LockstepError =>
  new LockstepError("CONNECTION_REFUSED", sentence, hint);

/** What counts as one address: an IPv4 address, or the /64 that an IPv6 host chooses its addresses from. */
function networkOf(address: string): string {
  const mapped = address.replace(/^::ffff:(?=\d+\.)/i, "");
  if (!isIPv6(mapped)) return mapped;
  const [head = "", tail = ""] = mapped.split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail === "" ? 0 : tail.split(":").length;
  const zeros = mapped.includes("::") ? 8 - groups.length - after : 0;
  const whole = [...groups, ...Array<string>(zeros).fill("0"), ...(after === 0 ? [] : tail.split(":"))];
  return mapped === "::1" ? mapped : `${whole.slice(0, 4).join(":")}::/64`;
}
