/** Asking a coordinator over HTTP how it does, without joining: what `lockstep health` and `lockstep doctor` share. */
import { Agent as PlainAgent, get as plainGet } from "node:http";
import type { IncomingMessage } from "node:http";
import { Agent as TlsAgent, get as tlsGet } from "node:https";
import { coordinatorAddress } from "../../shared/address.ts";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";
import { describe, untrusted } from "../../shared/no-connection.ts";
import { readTls } from "../../shared/tls.ts";
import type { ProbeFlags } from "./options.ts";

export interface Probed {
  /** Milliseconds from the request to the head of the answer. */
  readonly took: number;
  /** The coordinator's clock, cut to whole seconds, in milliseconds of Unix time; undefined where it does not tell. */
  readonly date: number | undefined;
}

/** Asks a coordinator for a path, `times` times, one after the other over one connection. */
type Probe = (path: string, times: number) => Promise<readonly Probed[]>;

/** A probe that waits longer than this has its answer; milliseconds. */
const PATIENCE = 5_000;

/**
 * Throws ADDRESS_INVALID and TLS_INVALID. The probe rejects with COORDINATOR_UNREACHABLE where there is no answer, or
 * another than 200, and with TLS_REFUSED.
 */
export function probeOf(address: string, flags: ProbeFlags): Probe {
  const url = coordinatorAddress(address);
  const tls = readTls({ ca: flags.tlsCa, cert: flags.tlsCert, key: flags.tlsKey }, new Date());
  const secure = url.protocol === "wss:";
  return async (path, times) => {
    const agent = new (secure ? TlsAgent : PlainAgent)({ keepAlive: true, maxSockets: 1 });
    const page = new URL(path, url);
    page.protocol = secure ? "https:" : "http:";
    const head = (): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        const sent = (secure ? tlsGet : plainGet)(page, { ...tls, timeout: PATIENCE, agent }, resolve);
        sent.once("timeout", () => sent.destroy(new Error(`no answer within ${PATIENCE / 1000} s`)));
        sent.once("error", reject);
      });
    const probed: Probed[] = [];
    try {
      while (probed.length < times) {
        const began = performance.now();
        const answer = await head();
        const took = performance.now() - began;
        if (answer.statusCode !== 200) throw new Error(`it answered with HTTP status ${answer.statusCode}`);
        // The next request takes the connection once the body is read.
        await answer.resume().toArray();
        const date = Date.parse(answer.headers.date ?? "");
        probed.push({ took, date: Number.isNaN(date) ? undefined : date });
      }
    } catch (cause) {
      const error = cause as NodeJS.ErrnoException;
      throw (
        untrusted(error, url, "machine") ??
        new LockstepError(
          "COORDINATOR_UNREACHABLE",
          describe(error, url, "machine"),
          errnoOf(error) === undefined
            ? "look at the coordinator's log"
            : "see that it runs there, and that no firewall is between",
          { cause },
        )
      );
    } finally {
      agent.destroy();
    }
    return probed;
  };
}
