/** Config and manifest as lists of key paths, and where the time of the steps went. */
import { percent } from "../../cli/format.ts";
import { card, h, setText, svg } from "./dom.ts";
import type { RunFacts, TimeShares } from "./messages.ts";

export class FactsCard {
  readonly element: HTMLElement;
  readonly #config = h("dl");
  readonly #manifest = h("dl");

  constructor() {
    this.element = card(
      "Config and manifest",
      "facts",
      [],
      h(
        "div",
        { class: "columns" },
        h("div", {}, h("h3", {}, "config.json"), this.#config),
        h("div", {}, h("h3", {}, "manifest.json"), this.#manifest),
      ),
    );
  }

  show({ config, manifest }: RunFacts): void {
    this.#config.replaceChildren(...entries(config));
    this.#manifest.replaceChildren(...entries(manifest));
  }
}

function entries(value: unknown): HTMLElement[] {
  return flat(value, "").map(([path, text]) => h("div", {}, h("dt", {}, ...breakable(path)), h("dd", {}, text)));
}

/** Long paths break behind their dots. */
const breakable = (path: string): (Node | string)[] =>
  path.split(/(?<=\.)/).flatMap((part, at) => (at === 0 ? [part] : [h("wbr"), part]));

/** `optimizer.learningRate`, `0.05` */
function flat(value: unknown, path: string): [path: string, text: string][] {
  if (typeof value !== "object" || value === null) return [[path, String(value)]];
  const isList = Array.isArray(value);
  return Object.entries(value).flatMap(([key, inner]) =>
    flat(inner, isList ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`),
  );
}

const parts = [
  { key: "compute", text: "compute" },
  { key: "reduce", text: "reduction" },
  { key: "wire", text: "wire" },
  { key: "wait", text: "waiting" },
] as const;

export class TimeCard {
  readonly element: HTMLElement;
  readonly #bar = svg("svg", {
    class: "shares",
    viewBox: "0 0 100 6",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  readonly #legend = h("p", { class: "legend" });

  constructor() {
    this.element = card("Where the time goes", "time", [], this.#bar, this.#legend);
    this.#bar.append(...parts.map(({ key }) => svg("rect", { class: `part-${key}`, y: 0, height: 6 })));
    this.#legend.append(
      ...parts.map(({ key, text }) => h("span", {}, h("i", { class: `swatch part-${key}` }), `${text} `, h("b"))),
    );
  }

  show(time: TimeShares | undefined): void {
    const total = time === undefined ? 0 : parts.reduce((sum, { key }) => sum + time[key], 0);
    this.element.hidden = total === 0;
    if (time === undefined || total === 0) return;
    let before = 0;
    parts.forEach(({ key }, at) => {
      const share = time[key] / total;
      const box = this.#bar.children[at]!;
      box.setAttribute("x", String(100 * before));
      box.setAttribute("width", String(100 * share));
      before += share;
      setText(this.#legend.children[at]!.querySelector("b")!, percent(share, 0));
    });
  }
}
