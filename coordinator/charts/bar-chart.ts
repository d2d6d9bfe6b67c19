/** Bars of stacked parts, one under the other, as an SVG: what something is made up of, for several cases. */
import { area, at, drawing, escaped, horizontalAxis, legend, scaleOf, WIDTH } from "./frame.ts";
import type { Axis, Colour } from "./frame.ts";

export interface BarChart {
  readonly title: string;
  readonly x: Axis;
  /** In the order they are stacked. */
  readonly parts: readonly { readonly name: string; readonly colour: Colour }[];
  /** `values` has one number for each part. */
  readonly bars: readonly { readonly name: string; readonly values: readonly number[] }[];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export function barChart({ title, x, parts, bars }: BarChart): string {
  const longest = Math.max(...bars.map(({ name }) => name.length));
  const left = Math.min(WIDTH / 2, 24 + 6.6 * longest + 10);
  const across = scaleOf({ ...x, from: 0 }, [0, ...bars.map(({ values }) => sum(values))], [left, area.right]);
  const pitch = (area.bottom - area.top) / bars.length;
  const height = Math.min(28, 0.7 * pitch);
  const drawn = bars.map(({ name, values }, row) => {
    const top = area.top + (row + 0.5) * pitch - height / 2;
    let before = 0;
    const boxes = values.map((value, index) => {
      const { name: part, colour } = parts[index]!;
      const [start, end] = [across(before), across(before + value)];
      before += value;
      return `<rect class="fill ${colour}" x="${at(start)}" y="${at(top)}" width="${at(end - start)}" height="${at(height)}"><title>${escaped(`${name}, ${part}: ${value.toPrecision(3)}`)}</title></rect>`;
    });
    return `${boxes.join("")}<text x="${at(left - 8)}" y="${at(top + height / 2)}" dy="0.32em" text-anchor="end">${escaped(name)}</text>`;
  });
  const description = `${x.label} of ${bars.map(({ name }) => name).join(", ")}, as ${parts.map(({ name }) => name).join(", ")}`;
  return drawing(title, description, [
    horizontalAxis(x, across),
    ...drawn,
    legend(parts.map((part) => ({ ...part, mark: "box" }))),
  ]);
}
