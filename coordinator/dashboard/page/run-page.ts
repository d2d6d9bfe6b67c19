/** The page of one run: of one that goes on, live; of one in a folder, as it was left. */
import { ask, askJson, AskFailed, follow } from "./api.ts";
import { Controls } from "./controls.ts";
import { Curve } from "./curve.ts";
import { CurvesCard } from "./curves.ts";
import { DigitCard } from "./digit-box.ts";
import { h } from "./dom.ts";
import { EpochsCard } from "./epochs-table.ts";
import { FactsCard, TimeCard } from "./facts-view.ts";
import { Header } from "./header.ts";
import { LogCard } from "./log-view.ts";
import type { CurvePoint, EpochPoint, RunSnapshot, RunState, RunUpdate } from "./messages.ts";
import { TimelineCard } from "./timeline-view.ts";
import { WorkersCard } from "./workers-table.ts";

const TOAST_FOR = 8_000;
/** How often the folder of a run that goes on elsewhere is looked at again. */
const LOOK_EVERY = 3_000;

class RunPage {
  readonly #banner = h("p", { class: "banner", role: "alert", hidden: true });
  readonly #toast = h("p", { class: "toast", role: "status", hidden: true });
  readonly #controls = new Controls((sentence, isBad) => this.#say(sentence, isBad));
  readonly #header: Header;
  readonly #curves = new CurvesCard();
  readonly #time = new TimeCard();
  readonly #epochTable = new EpochsCard();
  readonly #workers = new WorkersCard();
  readonly #timeline = new TimelineCard();
  readonly #log = new LogCard();
  readonly #facts = new FactsCard();
  readonly #side = h("div", { class: "side" });
  #snapshot: RunSnapshot | undefined;
  #digit: DigitCard | undefined;
  #epochs: EpochPoint[] = [];
  /** Points that come while the curve before them is still on its way. */
  #early: { points: CurvePoint[]; epochs: EpochPoint[] } | undefined;

  constructor(root: HTMLElement, home?: HTMLElement) {
    this.#header = new Header(this.#controls.element, home);
    this.#side.append(this.#time.element, this.#epochTable.element);
    root.replaceChildren(
      this.#header.element,
      this.#banner,
      h(
        "main",
        { id: "main", tabindex: -1 },
        h("div", { class: "upper" }, this.#curves.element, this.#side),
        this.#workers.element,
        this.#timeline.element,
        h("div", { class: "lower" }, this.#log.element, this.#facts.element),
      ),
      this.#toast,
    );
  }

  trouble(sentence: string | undefined): void {
    this.#banner.hidden = sentence === undefined;
    this.#banner.textContent = sentence ?? "";
  }

  /** @param predict what the address of a question about a digit begins with */
  async snapshot(snapshot: RunSnapshot, curve: string, predict?: string): Promise<void> {
    this.#snapshot = snapshot;
    const { facts, epochs, log, workers, time } = snapshot;
    this.#header.showFacts(facts);
    this.#facts.show(facts);
    this.#epochs = [...epochs];
    this.#epochTable.show(this.#epochs);
    this.#log.replace(log);
    this.#workers.show(workers);
    this.#time.show(time);
    this.#showState(snapshot.state, snapshot);
    if (facts.imageSide !== undefined && this.#digit === undefined) {
      this.#digit = new DigitCard(facts.imageSide, predict);
      this.#side.prepend(this.#digit.element);
    }
    this.#timeline.element.hidden = !snapshot.mayCommand && snapshot.time === undefined;
    const early = (this.#early = { points: [] as CurvePoint[], epochs: [] as EpochPoint[] });
    const response = await ask(curve);
    this.#curves.replace(Curve.fromBytes(await response.arrayBuffer()), epochs);
    this.#curves.add(early.points, early.epochs);
    if (this.#early === early) this.#early = undefined;
  }

  /** Whether the run goes on. */
  update(update: RunUpdate): boolean {
    if (this.#snapshot === undefined) return true;
    this.#epochs.push(...update.epochs);
    if (update.epochs.length > 0) this.#epochTable.show(this.#epochs);
    if (this.#early === undefined) this.#curves.add(update.points, update.epochs);
    else {
      this.#early.points.push(...update.points);
      this.#early.epochs.push(...update.epochs);
    }
    this.#log.add(update.log);
    this.#workers.show(update.workers);
    this.#time.show(update.time);
    this.#timeline.show(update.traces);
    if (update.epochs.length > 0) this.#digit?.refresh();
    this.#showState(update.state, update);
    return ["waiting", "running", "paused"].includes(update.state);
  }

  hideTimeline(): void {
    this.#timeline.element.hidden = true;
  }

  #showState(state: RunState, { progress, workers }: Pick<RunUpdate, "progress" | "workers">): void {
    const { facts, mayCommand } = this.#snapshot!;
    this.#header.show(state, progress, this.#epochs.at(-1), workers, facts);
    this.#controls.show(state, mayCommand);
  }

  #say(sentence: string, isBad: boolean): void {
    this.#toast.textContent = sentence;
    this.#toast.className = isBad ? "toast bad" : "toast";
    this.#toast.hidden = false;
    setTimeout(() => (this.#toast.hidden = true), TOAST_FOR);
  }
}

const over =
  "The run is over, and the coordinator with it. What you see stays as long as this page is open; `lockstep dashboard` shows it again.";

/** A run that goes on, on its coordinator's port. */
export function livePage(root: HTMLElement): void {
  const page = new RunPage(root);
  const stop = follow({
    onSnapshot: (snapshot) =>
      void page.snapshot(snapshot, "api/curve").catch((error: unknown) => page.trouble(sentenceOf(error))),
    onUpdate(update) {
      if (page.update(update)) return;
      stop();
      page.trouble(over);
    },
    onTrouble: (sentence) => page.trouble(sentence),
  });
}

/** A run in a folder; while it goes on, its folder is looked at again and again. */
export async function folderPage(root: HTMLElement, name: string, home: HTMLElement): Promise<void> {
  const page = new RunPage(root, home);
  page.hideTimeline();
  const query = `name=${encodeURIComponent(name)}`;
  let step: number | undefined;
  for (;;) {
    let state: RunState | undefined;
    try {
      const snapshot = await askJson<RunSnapshot>(`api/run?${query}`);
      state = snapshot.state;
      if (snapshot.progress?.step !== step || step === undefined)
        await page.snapshot(snapshot, `api/curve?${query}`, `api/predict?${query}&`);
      step = snapshot.progress?.step ?? 0;
      page.hideTimeline();
      page.trouble(undefined);
    } catch (error) {
      page.trouble(sentenceOf(error));
    }
    if (state !== undefined && !["waiting", "running", "paused"].includes(state)) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
}

function sentenceOf(error: unknown): string {
  if (error instanceof AskFailed) return error.message;
  throw error;
}
