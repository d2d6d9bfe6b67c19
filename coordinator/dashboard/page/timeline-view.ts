/** The newest steps, a lane for the coordinator and for each worker; of a run that is traced, for each of its threads. */
import { card, h, svg } from "./dom.ts";
import type { Lane, SpanKind, StepTrace } from "./messages.ts";

const kinds: readonly { readonly kind: SpanKind; readonly text: string }[] = [
  { kind: "gather", text: "gather samples" },
  { kind: "compute", text: "compute" },
  { kind: "announce", text: "announce" },
  { kind: "encode", text: "encode" },
  { kind: "send", text: "send" },
  { kind: "travel", text: "on its way" },
  { kind: "wait", text: "waiting" },
  { kind: "lost", text: "no answer" },
  { kind: "receive", text: "receive" },
  { kind: "reduce", text: "reduce" },
  { kind: "update", text: "update" },
];

const LANE = 22;
const LABEL = 110;
const TOP = 20;
/** Steps that are drawn. */
const MOST_STEPS = 4;

export class TimelineCard {
  readonly element: HTMLElement;
  readonly #drawing = svg("svg", { class: "timeline", role: "img" });
  readonly #legend = h("p", { class: "legend" });
  readonly #hold = h("input", { type: "checkbox" });
  readonly #empty = h("p", { class: "empty" }, "Steps appear here while the run goes on.");
  #width = 0;
  #traces: readonly StepTrace[] = [];

  constructor() {
    const hold = h("label", { class: "tool" }, this.#hold, " Hold");
    const frame = h("div", {}, this.#drawing);
    this.element = card("Recent steps", "timeline-card", [hold], this.#legend, frame, this.#empty);
    new ResizeObserver(([entry]) => {
      this.#width = entry!.contentRect.width;
      this.#draw();
    }).observe(frame);
  }

  show(traces: readonly StepTrace[]): void {
    if (traces.length === 0 || this.#hold.checked) return;
    this.#traces = traces.slice(-MOST_STEPS);
    this.#draw();
  }

  #draw(): void {
    const [first] = this.#traces;
    const last = this.#traces.at(-1);
    this.#empty.hidden = first !== undefined;
    if (first === undefined || last === undefined || this.#width < LABEL + 40) return;
    const names = [...new Set(this.#traces.flatMap(({ lanes }) => lanes.map(titleOf)))];
    const used = new Set(
      this.#traces.flatMap(({ lanes }) => lanes.flatMap(({ spans }) => spans.map(([kind]) => kind))),
    );
    this.#legend.replaceChildren(
      ...kinds
        .filter(({ kind }) => used.has(kind))
        .map(({ kind, text }) => h("span", {}, h("i", { class: `swatch span-${kind}` }), text)),
    );
    const height = TOP + LANE * names.length + 4;
    const scale = (this.#width - LABEL) / (last.begin + last.length - first.begin);
    const parts: SVGElement[] = [];
    names.forEach((name, row) => {
      const y = TOP + LANE * row;
      parts.push(
        svg("rect", { class: "lane", x: LABEL, y: y + 2, width: this.#width - LABEL, height: LANE - 4, rx: 3 }),
      );
      parts.push(svg("text", { x: 0, y: y + LANE / 2, dy: "0.32em" }, shortened(name)));
    });
    for (const { name, begin, length, lanes } of this.#traces) {
      const left = LABEL + scale * (begin - first.begin);
      parts.push(svg("line", { class: "seam", x1: left, x2: left, y1: TOP - 4, y2: height }));
      const text = `${name}, ${length.toFixed(2)} ms`;
      if (scale * length > 8 + 6 * text.length)
        parts.push(svg("text", { class: "step", x: left + 4, y: TOP - 8 }, text));
      for (const lane of lanes)
        for (const [kind, start, end] of lane.spans) {
          // A thread may have begun before the step was opened, and before what is drawn.
          const from = Math.max(start, first.begin - begin);
          if (from >= end) continue;
          const title = svg("title", {}, `${titleOf(lane)}: ${textOf(kind)} ${(end - start).toFixed(2)} ms`);
          const box = { x: left + scale * from, y: TOP + LANE * names.indexOf(titleOf(lane)) + 2, height: LANE - 4 };
          parts.push(svg("rect", { class: `span-${kind}`, ...box, width: Math.max(0.5, scale * (end - from)) }, title));
        }
    }
    this.#drawing.setAttribute("width", String(this.#width));
    this.#drawing.setAttribute("height", String(height));
    this.#drawing.setAttribute("aria-label", summary(last));
    this.#drawing.replaceChildren(...parts);
  }
}

const titleOf = ({ name, part }: Lane): string => (part === undefined ? name : `${name} ${part}`);

const textOf = (kind: SpanKind): string => kinds.find((each) => each.kind === kind)!.text;

const shortened = (name: string): string => (name.length > 16 ? `${name.slice(0, 15)}…` : name);

/** The newest step, for who cannot see it. */
function summary({ name, length, lanes }: StepTrace): string {
  const computing = lanes.slice(1).flatMap((lane) => {
    const spans = lane.spans.filter(([kind]) => kind === "compute");
    const milliseconds = spans.reduce((sum, [, begin, end]) => sum + end - begin, 0);
    return spans.length === 0 ? [] : [`${titleOf(lane)} computed ${milliseconds.toFixed(2)} ms`];
  });
  return `${name} took ${length.toFixed(2)} milliseconds: ${computing.join(", ")}`;
}
