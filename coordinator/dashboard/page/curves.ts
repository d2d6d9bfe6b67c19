/** The curves of one run: loss, accuracy and throughput over the steps, smoothed, with the test figures of every epoch. */
import type { AlignedData } from "uplot";
import { count, percent } from "../../cli/format.ts";
import { Chart, ChartGroup, shortLoss } from "./chart.ts";
import type { Line } from "./chart.ts";
import { Curve } from "./curve.ts";
import { card, h, setText } from "./dom.ts";
import type { CurvePoint, EpochPoint } from "./messages.ts";
import { smoothed } from "./smooth.ts";

const curveLines = (colour: string): Line[] => [
  { label: "minibatch", colour, kind: "faint" },
  { label: "smoothed", colour, kind: "line" },
  { label: "test", colour: "--test", kind: "points" },
];

export class CurvesCard {
  readonly element: HTMLElement;
  readonly #group = new ChartGroup();
  readonly #loss = new Chart(this.#group, "Loss", curveLines("--training"), shortLoss);
  readonly #accuracy = new Chart(this.#group, "Accuracy", curveLines("--training"), (value) => percent(value, 1));
  readonly #rate = new Chart(
    this.#group,
    "Samples a second",
    [{ label: "samples/s", colour: "--rate", kind: "line" }],
    count,
  );
  #curve = new Curve();
  #epochs: readonly EpochPoint[] = [];
  #smoothing = 0.9;

  constructor() {
    const tools = [this.#smoothingTool(), this.#logarithmTool(), ...zoomTools(this.#group)];
    this.element = card(
      "Curves",
      "curves",
      tools,
      h("div", { class: "charts" }, this.#loss.element, this.#accuracy.element, this.#rate.element),
    );
  }

  get steps(): number {
    return this.#curve.length;
  }

  replace(curve: Curve, epochs: readonly EpochPoint[]): void {
    this.#curve = curve;
    this.#epochs = epochs;
    this.#draw();
  }

  /** Points of steps that are there already are left out: they came with the curve. */
  add(points: readonly CurvePoint[], epochs: readonly EpochPoint[]): void {
    const [steps] = this.#curve.columns();
    const last = steps.at(-1) ?? 0;
    for (const [step, loss, accuracy, rate] of points)
      if (step > last) this.#curve.add(step, loss, accuracy ?? Number.NaN, rate);
    const lastEpoch = this.#epochs.at(-1)?.epoch ?? 0;
    this.#epochs = [...this.#epochs, ...epochs.filter(({ epoch }) => epoch > lastEpoch)];
    if (points.length > 0 || epochs.length > 0) this.#draw();
  }

  #draw(): void {
    const [steps, losses, accuracies, rates] = this.#curve.columns();
    this.#loss.show(this.#columns(steps, losses, ({ testLoss }) => testLoss));
    this.#rate.show([steps, rates]);
    const hasAccuracy = accuracies.some((value) => !Number.isNaN(value));
    this.#accuracy.element.hidden = !hasAccuracy;
    if (hasAccuracy) this.#accuracy.show(this.#columns(steps, accuracies, ({ testAccuracy }) => testAccuracy));
  }

  #columns(steps: Float32Array, values: Float32Array, test: (epoch: EpochPoint) => number | undefined): AlignedData {
    return [steps, values, smoothed(values, this.#smoothing), this.#testColumn(steps, test)];
  }

  /** Test figures at the steps of their epochs' ends. */
  #testColumn(steps: Float32Array, test: (epoch: EpochPoint) => number | undefined): (number | null)[] {
    const column = Array.from<number | null>({ length: steps.length }).fill(null);
    let at = 0;
    for (const epoch of this.#epochs) {
      while (at < steps.length - 1 && steps[at]! < epoch.step) at++;
      if (at < column.length) column[at] = test(epoch) ?? null;
    }
    return column;
  }

  #smoothingTool(): HTMLElement {
    const shown = h("output", {}, "0.90");
    const input = h("input", {
      type: "range",
      min: 0,
      max: 0.999,
      step: 0.001,
      value: this.#smoothing,
      oninput: () => {
        this.#smoothing = Number(input.value);
        setText(shown, this.#smoothing.toFixed(2));
        this.#draw();
      },
    });
    return h("label", { class: "tool" }, "Smoothing ", input, shown);
  }

  #logarithmTool(): HTMLElement {
    const input = h("input", { type: "checkbox", onchange: () => this.#loss.setLogarithmic(input.checked) });
    return h("label", { class: "tool" }, input, " Log loss");
  }
}

/** Buttons for who has no wheel. */
export function zoomTools(group: ChartGroup): HTMLElement[] {
  const button = (text: string, label: string, action: () => void): HTMLButtonElement =>
    h("button", { type: "button", class: "small", "aria-label": label, title: label, onclick: action }, text);
  const whole = button("All", "Show all steps", () => group.show(undefined));
  whole.disabled = true;
  group.onZoom((isZoomed) => (whole.disabled = !isZoomed));
  return [button("−", "Zoom out", () => group.zoom(2)), button("+", "Zoom in", () => group.zoom(0.5)), whole];
}
