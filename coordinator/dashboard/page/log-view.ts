/** What happened, the newest first. */
import { card, h } from "./dom.ts";
import type { LogEntry } from "./messages.ts";

const MOST_SHOWN = 500;

const marks = { good: "✓", bad: "!", plain: "·" } as const;

export class LogCard {
  readonly element: HTMLElement;
  readonly #list = h("ol", { class: "log", role: "log", tabindex: 0, "aria-label": "Events, the newest first" });

  constructor() {
    this.element = card("Events", "events", [], this.#list);
  }

  replace(entries: readonly LogEntry[]): void {
    this.#list.replaceChildren();
    this.add(entries);
  }

  add(entries: readonly LogEntry[]): void {
    this.#list.prepend(...entries.map(item).toReversed());
    while (this.#list.children.length > MOST_SHOWN) this.#list.lastElementChild!.remove();
  }
}

function item({ at, kind, text }: LogEntry): HTMLLIElement {
  const date = new Date(at);
  const time = h("time", { datetime: date.toISOString(), title: date.toLocaleString() }, date.toLocaleTimeString());
  return h(
    "li",
    { class: kind },
    time,
    h("span", { class: "mark", "aria-hidden": "true" }, marks[kind]),
    h("span", {}, text),
  );
}
