/** One row a worker; on a phone, a card. Rows stay where they are, and only what has changed is written. */
import { bytes, count, percent, plural } from "../../cli/format.ts";
import { card, h, setText } from "./dom.ts";
import type { WorkerRow } from "./messages.ts";

interface Column {
  readonly title: string;
  readonly text: (row: WorkerRow) => string | undefined;
  readonly isNumber?: boolean;
}

const size = (value: number | undefined): string | undefined => (value === undefined ? undefined : bytes(value));

const columns: readonly Column[] = [
  { title: "Worker", text: ({ name }) => name },
  { title: "State", text: ({ state }) => state },
  { title: "Address", text: ({ address }) => address },
  { title: "Threads", text: ({ threads }) => threads?.toString(), isNumber: true },
  { title: "Share", text: ({ share }) => (share === undefined ? undefined : percent(share, 0)), isNumber: true },
  {
    title: "Speed",
    text: ({ speed }) => (speed === undefined ? undefined : `${count(Number(speed.toPrecision(3)))}/s`),
    isNumber: true,
  },
  {
    title: "Round trip",
    text: ({ latency }) => (latency === undefined ? undefined : `${latency.toFixed(latency < 10 ? 1 : 0)} ms`),
    isNumber: true,
  },
  { title: "CPU", text: ({ cpu }) => (cpu === undefined ? undefined : percent(cpu, 0)), isNumber: true },
  { title: "Memory", text: ({ residentBytes }) => size(residentBytes), isNumber: true },
  { title: "Sent to it", text: ({ bytesSent }) => size(bytesSent), isNumber: true },
  { title: "Received", text: ({ bytesReceived }) => size(bytesReceived), isNumber: true },
  { title: "Failures", text: ({ failures }) => String(failures), isNumber: true },
];

const classes = {
  computing: "good",
  joining: "plain",
  "standing by": "plain",
  resting: "warn",
  gone: "bad",
  quarantined: "bad",
} as const;

export class WorkersCard {
  readonly element: HTMLElement;
  readonly #body = h("tbody");
  readonly #summary = h("span", { class: "quiet" });
  readonly #empty = h("p", { class: "empty" }, "No worker yet.");
  readonly #rows = new Map<string, HTMLTableRowElement>();

  constructor() {
    const head = h(
      "tr",
      {},
      ...columns.map(({ title, isNumber }) =>
        h("th", { scope: "col", class: isNumber === true ? "number" : "" }, title),
      ),
    );
    const table = h("table", {}, h("thead", {}, head), this.#body);
    this.element = card("Workers", "workers", [this.#summary], h("div", { class: "scroll" }, table), this.#empty);
  }

  show(workers: readonly WorkerRow[]): void {
    const here = workers.filter(({ state }) => state !== "gone" && state !== "quarantined");
    const gone = workers.length - here.length;
    const shared = here.filter(({ sharesMemory }) => sharesMemory).length;
    const parts = [plural(here.length, "worker")];
    if (gone > 0) parts.push(`${count(gone)} gone`);
    if (shared > 0) parts.push(`${count(shared)} through shared memory`);
    setText(this.#summary, parts.join(" · "));
    this.#empty.hidden = workers.length > 0;
    // Two connections may have one name, as a worker that comes back before its old connection counts as lost.
    const seen = new Map<string, number>();
    const rows = workers.map((worker) => {
      const again = seen.get(worker.name) ?? 0;
      seen.set(worker.name, again + 1);
      const key = `${worker.name} ${again}`;
      const row = this.#rows.get(key) ?? emptyRow();
      this.#rows.set(key, row);
      fill(row, worker);
      return row;
    });
    const isSame =
      rows.length === this.#body.children.length && rows.every((row, at) => this.#body.children[at] === row);
    if (isSame) return;
    this.#body.replaceChildren(...rows);
    for (const [key, row] of this.#rows) if (!rows.includes(row)) this.#rows.delete(key);
  }
}

function emptyRow(): HTMLTableRowElement {
  const cells = columns.map(({ title, isNumber }, at) =>
    at === 0
      ? h("th", { scope: "row", "data-title": title })
      : h("td", { "data-title": title, class: isNumber === true ? "number" : "" }),
  );
  return h("tr", {}, ...cells);
}

function fill(row: HTMLTableRowElement, worker: WorkerRow): void {
  row.className = worker.state === "gone" || worker.state === "quarantined" ? "is-gone" : "";
  columns.forEach((column, at) => {
    const cell = row.children[at]!;
    if (column.title === "State") {
      const badge = cell.firstElementChild ?? cell.appendChild(h("span"));
      // One that goes in good order, or when the run is over, is nothing to worry about.
      const isFarewell = worker.state === "gone" && worker.failures === 0;
      badge.className = `badge ${isFarewell ? "" : classes[worker.state]}`;
      setText(badge, worker.state);
      const reason = cell.querySelector(".reason") ?? cell.appendChild(h("span", { class: "reason" }));
      setText(reason, worker.reason === undefined ? "" : ` ${worker.reason}`);
      return;
    }
    if (column.title === "Share") {
      const bar =
        cell.querySelector("meter") ?? cell.appendChild(h("meter", { min: 0, max: 1, "aria-hidden": "true" }));
      bar.value = worker.share ?? 0;
      bar.hidden = worker.share === undefined;
      const text = cell.querySelector("span") ?? cell.appendChild(h("span"));
      setText(text, column.text(worker) ?? "–");
      return;
    }
    setText(cell, column.text(worker) ?? "–");
  });
}
