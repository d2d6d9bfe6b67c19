/** What every epoch came to, the newest first. */
import { duration, loss, percent } from "../../cli/format.ts";
import { card, h } from "./dom.ts";
import type { EpochPoint } from "./messages.ts";

const MOST_SHOWN = 200;

const share = (value: number | undefined): string => (value === undefined ? "–" : percent(value, 2));

const cells: readonly { readonly title: string; readonly text: (epoch: EpochPoint) => string }[] = [
  { title: "Epoch", text: ({ epoch }) => String(epoch) },
  { title: "Loss", text: (epoch) => loss(epoch.loss) },
  { title: "Test loss", text: ({ testLoss }) => (testLoss === undefined ? "–" : loss(testLoss)) },
  { title: "Test acc.", text: ({ testAccuracy }) => share(testAccuracy) },
  { title: "Time", text: ({ seconds }) => duration(seconds) },
];

export class EpochsCard {
  readonly element: HTMLElement;
  readonly #body = h("tbody");

  constructor() {
    const head = h("tr", {}, ...cells.map(({ title }) => h("th", { scope: "col", class: "number" }, title)));
    const table = h("table", {}, h("thead", {}, head), this.#body);
    const frame = h("div", { class: "scroll", tabindex: 0, "aria-label": "Epochs, the newest first" }, table);
    this.element = card("Epochs", "epochs", [], frame);
  }

  show(epochs: readonly EpochPoint[]): void {
    this.element.hidden = epochs.length === 0;
    const rows = epochs
      .slice(-MOST_SHOWN)
      .map((epoch) =>
        h("tr", {}, ...cells.map(({ title, text }) => h("td", { class: "number", "data-title": title }, text(epoch)))),
      );
    this.#body.replaceChildren(...rows.toReversed());
  }
}
