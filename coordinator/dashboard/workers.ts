/** The rows of workers: what the core knows of each, what its connection tells, and those that are gone. */
import type { WorkerId } from "../../shared/ids.ts";
import type { CoordinatorState, Member } from "../core/state.ts";
import type { RunView } from "../http/view.ts";
import type { Link } from "../server/connection.ts";
import type { RunHistory, WorkerRecord } from "./history.ts";
import type { WorkerRow } from "./page/messages.ts";

/** Made once: to make one for each comparison takes far longer than to compare. */
const byNumber = new Intl.Collator("en", { numeric: true });

export class WorkerRows {
  readonly #run: RunView;
  readonly #history: RunHistory;
  /** What each was last seen to own, as there is no open step between two. */
  #shares = new Map<WorkerId, number>();
  readonly #loads = new Map<
    WorkerId,
    { readonly at: number; readonly seconds: number; readonly cores: number | undefined }
  >();

  constructor(run: RunView, history: RunHistory) {
    this.#run = run;
    this.#history = history;
  }

  /** Asks all for a sign of life; their answers are in the rows from then on. */
  ping(): void {
    for (const { id, phase } of this.#run.state.members.values()) if (phase === "ready") this.#run.ping(id);
  }

  rows(): WorkerRow[] {
    const { state } = this.#run;
    const shares = sharesOf(state);
    if (shares !== undefined) this.#shares = shares;
    const members = [...state.members.values()].filter(({ phase }) => phase !== "connected");
    for (const id of this.#loads.keys()) if (!state.members.has(id)) this.#loads.delete(id);
    const here = new Set(members.map(({ name }) => name));
    const gone = [...this.#history.workers.values()].filter(({ name, state }) => state !== "here" && !here.has(name));
    const rows = [...members.map((member) => this.#row(member)), ...gone.map(goneRow)];
    return rows.sort((left, right) => byNumber.compare(left.name, right.name));
  }

  #row(member: Member): WorkerRow {
    const { id, name, phase, threads, speed, sharesMemory, restsUntil } = member;
    const link = this.#run.link(id);
    const share = this.#shares.get(id) ?? 0;
    const isResting = restsUntil > this.#run.now();
    return {
      name,
      state: phase === "joining" ? "joining" : share > 0 ? "computing" : isResting ? "resting" : "standing by",
      reason: undefined,
      address: link?.address,
      threads,
      share: phase === "ready" ? share : undefined,
      speed: speed === undefined ? undefined : 1000 * speed,
      latency: link?.roundTrip,
      bytesSent: link?.bytesSent,
      bytesReceived: link?.bytesReceived,
      sharesMemory,
      cpu: this.#coresOf(id, link),
      residentBytes: link?.load?.residentBytes,
      failures: this.#history.workers.get(name)?.failures ?? 0,
    };
  }

  /** From its CPU time at two answers. */
  #coresOf(id: WorkerId, link: Link | undefined): number | undefined {
    const before = this.#loads.get(id);
    if (link?.load === undefined || link.load.at === before?.at) return before?.cores;
    const { at, cpuSeconds: seconds } = link.load;
    const cores = before === undefined ? undefined : (1000 * (seconds - before.seconds)) / (at - before.at);
    this.#loads.set(id, { at, seconds, cores });
    return cores;
  }
}

/** What part of the open work's shards each worker is to compute. */
function sharesOf({ work }: CoordinatorState): Map<WorkerId, number> | undefined {
  // An evaluation may be too small for all.
  if (work?.name.kind !== "train") return undefined;
  const shares = new Map<WorkerId, number>();
  for (const { node, owners } of work.pieces.values()) {
    const owner = owners[owners.length - 1];
    if (owner !== undefined) shares.set(owner, (shares.get(owner) ?? 0) + (node.end - node.start) / work.shards);
  }
  return shares;
}

/** One that is no longer there, or was there when a finished run went on. */
export const goneRow = ({ name, state, reason, failures }: WorkerRecord): WorkerRow => ({
  name,
  state: state === "quarantined" ? "quarantined" : "gone",
  reason,
  address: undefined,
  threads: undefined,
  share: undefined,
  speed: undefined,
  latency: undefined,
  bytesSent: undefined,
  bytesReceived: undefined,
  sharesMemory: false,
  cpu: undefined,
  residentBytes: undefined,
  failures,
});
