/** A folder of runs: a table of all, and the curves of those that are ticked over one another. */
import uPlot from "uplot";
import { count, loss, percent } from "../../cli/format.ts";
import { ask, AskFailed, askJson, sentenceOf } from "./api.ts";
import { Chart, ChartGroup, shortLoss } from "./chart.ts";
import type { Line } from "./chart.ts";
import { Curve } from "./curve.ts";
import { zoomTools } from "./curves.ts";
import { card, h } from "./dom.ts";
import { mark, stateBadge } from "./header.ts";
import type { DamagedRun, EpochPoint, ListedRun, RunSnapshot, RunSummary } from "./messages.ts";
import { smoothed } from "./smooth.ts";

/** Colours there are; more runs than that are not told apart. */
const MOST_COMPARED = 6;
/** Points of each curve that is compared. */
const POINTS = 2_000;
const LOOK_EVERY = 5_000;

interface Compared {
  readonly name: string;
  readonly curve: Curve;
  readonly epochs: readonly EpochPoint[];
}

interface Column {
  readonly title: string;
  readonly isNumber?: boolean;
  readonly key: (run: RunSummary) => number | string;
  readonly cell: (run: RunSummary) => Node | string;
}

const linkTo = (name: string): HTMLElement => h("a", { href: `?run=${encodeURIComponent(name)}` }, name);

const columns: readonly Column[] = [
  { title: "Run", key: ({ name }) => name, cell: ({ name }) => linkTo(name) },
  { title: "State", key: ({ state }) => state, cell: ({ state }) => stateBadge(state) },
  { title: "Network", key: ({ model }) => model, cell: ({ model }) => model },
  { title: "Optimizer", key: ({ optimizer }) => optimizer, cell: ({ optimizer }) => optimizer },
  { title: "Batch", isNumber: true, key: ({ batch }) => batch, cell: ({ batch }) => count(batch) },
  { title: "Seed", isNumber: true, key: ({ seed }) => seed, cell: ({ seed }) => String(seed) },
  { title: "Epoch", isNumber: true, key: ({ epoch }) => epoch, cell: ({ epoch, epochs }) => `${epoch} / ${epochs}` },
  {
    title: "Loss",
    isNumber: true,
    key: (run) => run.loss ?? Infinity,
    cell: (run) => (run.loss === undefined ? "–" : loss(run.loss)),
  },
  {
    title: "Test loss",
    isNumber: true,
    key: (run) => run.testLoss ?? Infinity,
    cell: (run) => (run.testLoss === undefined ? "–" : loss(run.testLoss)),
  },
  {
    title: "Test accuracy",
    isNumber: true,
    key: (run) => run.testAccuracy ?? -1,
    cell: (run) => (run.testAccuracy === undefined ? "–" : percent(run.testAccuracy, 2)),
  },
  { title: "Started", key: ({ created }) => created, cell: ({ created }) => new Date(created).toLocaleString() },
];

export async function libraryPage(root: HTMLElement): Promise<void> {
  const page = new LibraryPage(root);
  for (;;) {
    if (!document.hidden) await page.load();
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
}

class LibraryPage {
  readonly #banner = h("p", { class: "banner", role: "alert", hidden: true });
  readonly #body = h("tbody");
  readonly #empty = h("p", { class: "empty", hidden: true }, "No run in this folder yet: `lockstep train` starts one.");
  readonly #search = h("input", {
    type: "search",
    placeholder: "Find",
    "aria-label": "Find runs",
    oninput: () => this.#list(),
  });
  readonly #heads: HTMLElement[];
  readonly #comparison = new Comparison();
  readonly #ticked = new Set(new URLSearchParams(location.search).getAll("compare"));
  #runs: readonly RunSummary[] = [];
  /** They have no figures to be ordered by, and stand behind the others. */
  #damaged: readonly DamagedRun[] = [];
  #order: { column: Column; isDescending: boolean } = { column: columns.at(-1)!, isDescending: true };

  constructor(root: HTMLElement) {
    document.title = "Runs · Lockstep";
    this.#heads = columns.map((column) =>
      h(
        "th",
        { scope: "col", class: column.isNumber === true ? "number" : "" },
        h("button", { type: "button", class: "sort", onclick: () => this.#sort(column) }, column.title),
      ),
    );
    const head = h("tr", {}, h("th", { scope: "col" }, h("span", { class: "hidden" }, "Compare")), ...this.#heads);
    const table = h("table", { class: "runs" }, h("thead", {}, head), this.#body);
    root.replaceChildren(
      h("header", { class: "top" }, h("div", { class: "title" }, mark(), h("h1", {}, "Runs"))),
      this.#banner,
      h(
        "main",
        { id: "main", tabindex: -1 },
        card("All runs", "library", [this.#search], h("div", { class: "scroll" }, table), this.#empty),
        this.#comparison.element,
      ),
    );
  }

  load(): Promise<void> {
    return this.#telling(async () => {
      const listed = await askJson<ListedRun[]>("api/runs");
      this.#runs = listed.filter((run) => run.state !== "damaged");
      this.#damaged = listed.filter((run) => run.state === "damaged");
      this.#list();
      await this.#compare();
    });
  }

  /** Does something that asks the server, and shows why if that fails. */
  async #telling(action: () => Promise<void>): Promise<void> {
    try {
      await action();
      this.#banner.hidden = true;
    } catch (error) {
      if (!(error instanceof AskFailed)) throw error;
      this.#banner.textContent = error.message;
      this.#banner.hidden = false;
    }
  }

  #sort(column: Column): void {
    const isDescending = this.#order.column === column ? !this.#order.isDescending : column.isNumber === true;
    this.#order = { column, isDescending };
    this.#list();
  }

  #list(): void {
    const { column, isDescending } = this.#order;
    const wanted = this.#search.value.toLowerCase();
    const isWanted = (...texts: readonly string[]): boolean =>
      texts.some((text) => text.toLowerCase().includes(wanted));
    const shown = this.#runs
      .filter((run) => isWanted(run.name, run.model, run.optimizer, run.state))
      .sort((left, right) => {
        const [one, other] = [column.key(left), column.key(right)];
        const order =
          typeof one === "string" ? one.localeCompare(String(other), "en", { numeric: true }) : one - Number(other);
        return isDescending ? -order : order;
      });
    columns.forEach((each, at) =>
      this.#heads[at]!.setAttribute(
        "aria-sort",
        each === column ? (isDescending ? "descending" : "ascending") : "none",
      ),
    );
    const damaged = this.#damaged.filter((run) => isWanted(run.name, run.state, sentenceOf(run.error)));
    this.#empty.hidden = this.#runs.length + this.#damaged.length > 0;
    // A tick that has the focus keeps it.
    const focused = document.activeElement?.getAttribute("data-run");
    this.#body.replaceChildren(...shown.map((run) => this.#row(run)), ...damaged.map(damagedRow));
    if (focused != null) this.#body.querySelector<HTMLElement>(`[data-run="${CSS.escape(focused)}"]`)?.focus();
  }

  #row(run: RunSummary): HTMLElement {
    const tick = h("input", {
      type: "checkbox",
      "data-run": run.name,
      "aria-label": `Compare ${run.name}`,
      onchange: () => {
        if (tick.checked) this.#ticked.add(run.name);
        else this.#ticked.delete(run.name);
        const query = new URLSearchParams([...this.#ticked].map((name): [string, string] => ["compare", name]));
        history.replaceState(null, "", `./${query.size === 0 ? "" : `?${query}`}`);
        void this.#telling(() => this.#compare());
      },
    });
    tick.checked = this.#ticked.has(run.name);
    const cells = columns.map((column) =>
      h("td", { "data-title": column.title, class: column.isNumber === true ? "number" : "" }, column.cell(run)),
    );
    return h("tr", {}, h("td", {}, tick), ...cells);
  }

  #compare(): Promise<void> {
    return this.#comparison.show(this.#runs.filter(({ name }) => this.#ticked.has(name)));
  }
}

const damagedRow = ({ name, state, error }: DamagedRun): HTMLElement =>
  h(
    "tr",
    {},
    h("td"),
    h("td", { "data-title": "Run" }, linkTo(name)),
    h("td", { "data-title": "State" }, stateBadge(state)),
    h("td", { class: "problem", colspan: columns.length - 2 }, sentenceOf(error)),
  );

class Comparison {
  readonly element: HTMLElement;
  readonly #group = new ChartGroup();
  readonly #charts = {
    loss: new Chart(this.#group, "Loss, smoothed", [], shortLoss),
    testLoss: new Chart(this.#group, "Test loss", [], shortLoss),
    testAccuracy: new Chart(this.#group, "Test accuracy", [], (value) => percent(value, 2)),
  };
  readonly #note = h("p", { class: "quiet" });
  readonly #shown = h("div", { class: "charts" }, ...Object.values(this.#charts).map(({ element }) => element));
  /** What was read, by name and step. */
  readonly #read = new Map<string, Compared>();

  constructor() {
    const logarithm = h("input", {
      type: "checkbox",
      onchange: () => {
        this.#charts.loss.setLogarithmic(logarithm.checked);
        this.#charts.testLoss.setLogarithmic(logarithm.checked);
      },
    });
    const tools = [h("label", { class: "tool" }, logarithm, " Log loss"), ...zoomTools(this.#group)];
    this.element = card("Comparison", "comparison", tools, this.#note, this.#shown);
  }

  async show(wanted: readonly RunSummary[]): Promise<void> {
    const runs = wanted.slice(0, MOST_COMPARED);
    this.#shown.hidden = wanted.length === 0;
    this.#note.textContent =
      wanted.length === 0
        ? "Tick runs above to lay their curves over one another."
        : wanted.length > MOST_COMPARED
          ? `The first ${MOST_COMPARED} of ${wanted.length} are shown.`
          : "";
    const compared = await Promise.all(runs.map((run) => this.#get(run)));
    const lines = (kind: Line["kind"]): Line[] =>
      compared.map(({ name }, at) => ({ label: name, colour: `--run-${at + 1}`, kind }));
    this.#charts.loss.show(
      joined(compared.map(({ curve }) => [curve.columns()[0], smoothed(curve.columns()[1], 0.9)])),
      lines("line"),
    );
    const ofEpochs = (value: (epoch: EpochPoint) => number | undefined): uPlot.AlignedData =>
      joined(
        compared.map(({ epochs }) => {
          const tested = epochs.filter((epoch) => value(epoch) !== undefined);
          return [tested.map(({ step }) => step), tested.map((epoch) => value(epoch)!)];
        }),
      );
    this.#charts.testLoss.show(
      ofEpochs(({ testLoss }) => testLoss),
      lines("points"),
    );
    this.#charts.testAccuracy.show(
      ofEpochs(({ testAccuracy }) => testAccuracy),
      lines("points"),
    );
  }

  async #get({ name, step }: RunSummary): Promise<Compared> {
    const key = `${name} ${step}`;
    const known = this.#read.get(key);
    if (known !== undefined) return known;
    const query = `name=${encodeURIComponent(name)}`;
    const [{ epochs }, response] = await Promise.all([
      askJson<RunSnapshot>(`api/run?${query}`),
      ask(`api/curve?${query}&points=${POINTS}`),
    ]);
    const compared = { name, epochs, curve: Curve.fromBytes(await response.arrayBuffer()) };
    this.#read.set(key, compared);
    return compared;
  }
}

/** Curves with steps of their own as columns over the steps of all. */
function joined(curves: readonly (readonly [ArrayLike<number>, ArrayLike<number>])[]): uPlot.AlignedData {
  const filled = curves.map(([steps, values]): uPlot.AlignedData => [Array.from(steps), Array.from(values)]);
  return filled.length === 0 ? [[]] : uPlot.join(filled);
}
