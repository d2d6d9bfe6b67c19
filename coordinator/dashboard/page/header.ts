/** The top of a run's page: its name and state, how far it is, and the figures of this moment. */
import { count, duration, loss, percent, plural } from "../../cli/format.ts";
import { h, setText } from "./dom.ts";
import type { EpochPoint, ListedRun, Progress, RunFacts, RunState, WorkerRow } from "./messages.ts";

const badges: Readonly<Record<ListedRun["state"], string>> = {
  waiting: "warn",
  running: "good",
  paused: "warn",
  completed: "good",
  stopped: "plain",
  failed: "bad",
  interrupted: "bad",
  damaged: "bad",
};

/** A word about a run, in its colour. */
export const stateBadge = (state: ListedRun["state"]): HTMLElement =>
  h("span", { class: `badge ${badges[state]}` }, state);

const figures = ["Epoch", "Step", "Loss", "Accuracy", "Test accuracy", "Samples/s", "Time left", "Workers"] as const;
type Figure = (typeof figures)[number];

export class Header {
  readonly element: HTMLElement;
  readonly #name = h("h1", {}, "…");
  readonly #state = h("span", { class: "state", role: "status" });
  readonly #about = h("p", { class: "quiet about" });
  readonly #bar = h("progress", { class: "steps", max: 1, value: 0, "aria-label": "Steps taken" });
  readonly #values = new Map<Figure, HTMLElement>(figures.map((figure) => [figure, h("dd", {}, "–")]));

  /** @param controls stand beside the name */
  constructor(controls: HTMLElement, home: HTMLElement | undefined) {
    this.element = h(
      "header",
      { class: "top" },
      h("div", { class: "title" }, home ?? mark(), this.#name, this.#state, controls),
      this.#about,
      this.#bar,
      h(
        "dl",
        { class: "figures" },
        ...figures.map((figure) => h("div", {}, h("dt", {}, figure), this.#values.get(figure))),
      ),
    );
  }

  showFacts({ name, folder, parameters, steps, epochs }: RunFacts): void {
    document.title = `${name} · Lockstep`;
    setText(this.#name, name);
    const parts = [folder, plural(parameters, "parameter"), plural(epochs, "epoch")];
    if (steps !== undefined) parts.push(plural(steps, "step"));
    setText(this.#about, parts.join(" · "));
  }

  show(
    state: RunState,
    progress: Progress | undefined,
    last: EpochPoint | undefined,
    workers: readonly WorkerRow[],
    facts: RunFacts,
  ): void {
    if (this.#state.textContent !== state) this.#state.replaceChildren(stateBadge(state));
    const steps = facts.steps;
    if (progress !== undefined && steps !== undefined) this.#bar.value = progress.step / steps;
    const isOpen = state === "running" || state === "paused";
    const of = (whole: number | undefined): string => (whole === undefined ? "" : ` / ${count(whole)}`);
    this.#set("Epoch", progress && `${count(progress.epoch)}${of(facts.epochs)}`);
    this.#set("Step", progress && `${count(progress.step)}${of(steps)}`);
    this.#set("Loss", progress && loss(progress.loss));
    this.#set("Accuracy", progress?.accuracy === undefined ? undefined : percent(progress.accuracy, 1));
    this.#set("Test accuracy", last?.testAccuracy === undefined ? undefined : percent(last.testAccuracy, 2));
    this.#set("Samples/s", progress && count(progress.samplesPerSecond));
    this.#set("Time left", isOpen && progress !== undefined ? duration(progress.secondsLeft) : undefined);
    const here = workers.filter(({ state: each }) => each !== "gone" && each !== "quarantined").length;
    this.#set("Workers", isOpen || state === "waiting" ? count(here) : undefined);
  }

  #set(figure: Figure, text: string | undefined): void {
    setText(this.#values.get(figure)!, text ?? "–");
  }
}

/** The word mark. */
export const mark = (): HTMLElement => h("span", { class: "mark-word" }, "Lockstep");
