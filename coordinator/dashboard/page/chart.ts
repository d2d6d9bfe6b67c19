/**
 * A plot of curves over the steps. Charts of a group zoom together: by dragging, with the wheel (and ctrl or shift), with the
 * arrow keys, + and −, and with buttons.
 */
import uPlot from "uplot";
import { h } from "./dom.ts";

export interface Line {
  readonly label: string;
  /** Names a CSS variable. */
  readonly colour: string;
  readonly kind: "faint" | "line" | "points";
}

/** What part of the steps is shown; undefined: all of them. */
export interface Span {
  readonly min: number;
  readonly max: number;
}

/** Charts that show the same steps. */
export class ChartGroup {
  readonly charts: Chart[] = [];
  readonly key = `group-${Math.random()}`;
  span: Span | undefined;
  #onZoom = (_isZoomed: boolean): void => {};

  onZoom(listener: (isZoomed: boolean) => void): void {
    this.#onZoom = listener;
  }

  show(span: Span | undefined): void {
    const whole = this.whole();
    const isPart = span !== undefined && whole !== undefined && (span.min > whole.min || span.max < whole.max);
    this.span =
      isPart && span.max > span.min
        ? { min: Math.max(span.min, whole.min), max: Math.min(span.max, whole.max) }
        : undefined;
    this.#onZoom(this.span !== undefined);
    for (const chart of this.charts) chart.rescale();
  }

  /** Zooms by a factor around a place from 0, the left, to 1. */
  zoom(factor: number, place = 0.5): void {
    const span = this.span ?? this.whole();
    if (span === undefined) return;
    const length = span.max - span.min;
    const around = span.min + place * length;
    // A handful of steps is as near as anyone needs to go.
    if (length * factor < 4) return;
    this.show({ min: around - place * length * factor, max: around + (1 - place) * length * factor });
  }

  /** Moves by a share of what is shown. */
  pan(share: number): void {
    const [span, whole] = [this.span, this.whole()];
    if (span === undefined || whole === undefined) return;
    const length = span.max - span.min;
    const min = Math.min(Math.max(span.min + share * length, whole.min), whole.max - length);
    this.show({ min, max: min + length });
  }

  whole(): Span | undefined {
    const spans = this.charts.flatMap((chart) => chart.whole() ?? []);
    if (spans.length === 0) return undefined;
    return { min: Math.min(...spans.map(({ min }) => min)), max: Math.max(...spans.map(({ max }) => max)) };
  }
}

/** A canvas knows no variables, and none of what they are made of: the browser resolves them on an element. */
const probe = h("i", { hidden: true });

/** A CSS variable's colour in the theme of this moment, at an opacity from 0 to 1. */
function colourOf(name: string, opacity = 1): string {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `color-mix(in srgb, var(${name}) ${100 * opacity}%, transparent)`;
  return getComputedStyle(probe).color;
}

const HEIGHT = 220;

/** A loss on an axis, with no more digits than it needs. */
export const shortLoss = (value: number): string => String(Number(value.toPrecision(4)));

export class Chart {
  readonly element: HTMLElement;
  readonly #group: ChartGroup;
  readonly #format: (value: number) => string;
  readonly #mount: HTMLElement;
  readonly #empty: HTMLElement;
  #plot: uPlot | undefined;
  #lines: readonly Line[];
  #data: uPlot.AlignedData = [[]];
  #isLogarithmic = false;
  #frame: number | undefined;

  constructor(group: ChartGroup, title: string, lines: readonly Line[], format: (value: number) => string) {
    this.#group = group;
    this.#lines = lines;
    this.#format = format;
    this.#mount = h("div", { class: "plot" });
    this.#empty = h("p", { class: "empty" }, "Nothing yet.");
    this.element = h(
      "figure",
      {
        class: "chart",
        tabindex: 0,
        "aria-label": `${title} over steps. Arrow keys move, plus and minus zoom, 0 shows all.`,
        onkeydown: (event) => this.#key(event as KeyboardEvent),
      },
      h("figcaption", {}, title),
      this.#mount,
      this.#empty,
    );
    group.charts.push(this);
    new ResizeObserver(() => this.#resize()).observe(this.element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#rebuild();
      this.show(this.#data);
    });
  }

  /** Draws these columns, with the next frame: first the steps, then one for each line. */
  show(data: uPlot.AlignedData, lines = this.#lines): void {
    this.#data = data;
    const isSame =
      lines.length === this.#lines.length && lines.every((line, at) => line.label === this.#lines[at]!.label);
    if (!isSame) {
      this.#lines = lines;
      this.#rebuild();
    }
    if (this.#frame !== undefined) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = undefined;
      const isEmpty = this.#data[0].length === 0;
      this.#empty.hidden = !isEmpty;
      if (isEmpty) return;
      this.#plot ??= this.#build();
      this.#plot.batch(() => {
        this.#plot!.setData(this.#data, false);
        this.rescale();
      });
    });
  }

  setLogarithmic(isLogarithmic: boolean): void {
    if (isLogarithmic === this.#isLogarithmic) return;
    this.#isLogarithmic = isLogarithmic;
    this.#rebuild();
    this.show(this.#data);
  }

  whole(): Span | undefined {
    const [steps] = this.#data;
    return steps.length === 0 ? undefined : { min: steps[0]!, max: steps[steps.length - 1]! };
  }

  rescale(): void {
    const span = this.#group.span ?? this.#group.whole();
    if (span !== undefined)
      this.#plot?.setScale("x", { min: span.min, max: span.max > span.min ? span.max : span.min + 1 });
  }

  #rebuild(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  #build(): uPlot {
    const axis = {
      stroke: () => colourOf("--muted"),
      grid: { stroke: () => colourOf("--line"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const options: uPlot.Options = {
      width: Math.max(200, this.#mount.clientWidth),
      height: HEIGHT,
      scales: { x: { time: false, auto: false }, y: { distr: this.#isLogarithmic ? 3 : 1 } },
      axes: [
        {
          ...axis,
          size: 28,
          values: (_plot, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? tick.toLocaleString("en-US") : "")),
        },
        { ...axis, size: 58, values: (_plot, ticks) => ticks.map((tick) => (tick === null ? "" : this.#format(tick))) },
      ],
      cursor: { sync: { key: this.#group.key }, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
      legend: { live: true },
      series: [
        {
          label: "step",
          value: (_plot, step: number | null) => (step === null ? "–" : Math.round(step).toLocaleString("en-US")),
        },
        ...this.#lines.map((line) => this.#series(line)),
      ],
      hooks: { setSelect: [(plot) => this.#select(plot)], ready: [(plot) => this.#listen(plot)] },
    };
    return new uPlot(options, this.#data, this.#mount);
  }

  #series({ label, colour, kind }: Line): uPlot.Series {
    return {
      label,
      stroke: () => (kind === "faint" ? colourOf(colour, 0.3) : colourOf(colour)),
      width: kind === "faint" ? 1 : 2,
      spanGaps: kind === "points",
      points: kind === "points" ? { show: true, size: 6, fill: () => colourOf(colour) } : { show: false },
      value: (_plot, value: number | null) => (value === null || Number.isNaN(value) ? "–" : this.#format(value)),
    };
  }

  #select(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 5) return;
    this.#group.show({ min: plot.posToVal(left, "x"), max: plot.posToVal(left + width, "x") });
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  #listen(plot: uPlot): void {
    plot.over.addEventListener("dblclick", () => this.#group.show(undefined));
    plot.over.addEventListener(
      "wheel",
      (event) => {
        const isPan = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
        // A plain wheel scrolls the page.
        if (!isPan && !event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        if (isPan) this.#group.pan((event.deltaX || event.deltaY) / 1000);
        else this.#group.zoom(Math.exp(event.deltaY / 300), event.offsetX / plot.over.clientWidth);
      },
      { passive: false },
    );
  }

  #key(event: KeyboardEvent): void {
    const actions: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => this.#group.pan(-0.2),
      ArrowRight: () => this.#group.pan(0.2),
      "+": () => this.#group.zoom(1 / 1.5),
      "=": () => this.#group.zoom(1 / 1.5),
      "-": () => this.#group.zoom(1.5),
      "0": () => this.#group.show(undefined),
    };
    const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : actions[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  }

  #resize(): void {
    const width = this.#mount.clientWidth;
    if (this.#plot !== undefined && width > 0 && width !== this.#plot.width)
      this.#plot.setSize({ width, height: HEIGHT });
  }
}
