/** Lines and measured points over two axes, as an SVG. */
import { line } from "d3-shape";
import { area, at, drawing, escaped, horizontalAxis, legend, scaleOf, verticalAxis } from "./frame.ts";
import type { Axis, Colour } from "./frame.ts";

export interface Series {
  readonly name: string;
  readonly colour: Colour;
  /** `dots` are measured, each with the bar from its least to its greatest where those are given. */
  readonly mark: "line" | "dashes" | "dots";
  readonly points: readonly Point[];
}

interface Point {
  readonly x: number;
  readonly y: number;
  readonly least?: number;
  readonly greatest?: number;
}

export interface LineChart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  /** A place on the x axis that a sentence belongs to. */
  readonly marker?: { readonly x: number; readonly text: string };
}

export function lineChart({ title, x, y, series, marker }: LineChart): string {
  const points = series.flatMap((each) => each.points);
  const across = scaleOf(
    x,
    points.map((point) => point.x),
    [area.left, area.right],
  );
  const up = scaleOf(
    y,
    points.flatMap((point) => [point.y, point.least ?? point.y, point.greatest ?? point.y]),
    [area.bottom, area.top],
  );
  const drawn = series.map(({ name, colour, mark, points }) => {
    if (mark !== "dots") {
      const path =
        line<Point>(
          (point) => across(point.x),
          (point) => up(point.y),
        ).digits(1)(points) ?? "";
      return `<path class="line ${mark} ${colour}" d="${path}"/>`;
    }
    return points
      .map((point) => {
        const [left, top] = [at(across(point.x)), at(up(point.y))];
        const bar =
          point.least === undefined || point.greatest === undefined
            ? ""
            : `<line class="line ${colour}" x1="${left}" x2="${left}" y1="${at(up(point.least))}" y2="${at(up(point.greatest))}"/>`;
        return `${bar}<circle class="fill ${colour}" cx="${left}" cy="${top}" r="4"><title>${escaped(`${name}: ${point.x}, ${point.y}`)}</title></circle>`;
      })
      .join("");
  });
  const description = `${y.label} over ${x.label}, ${series.map(({ name }) => name).join(", ")}`;
  return drawing(title, description, [
    horizontalAxis(x, across),
    verticalAxis(y, up),
    marker === undefined ? "" : markerAt(across(marker.x), marker.text),
    ...drawn,
    legend(series),
  ]);
}

/** A dashed line from bottom to top, its sentence on the side that has room. */
function markerAt(x: number, text: string): string {
  const isLeft = x < (area.left + area.right) / 2;
  const anchor = isLeft ? `x="${at(x + 6)}" text-anchor="start"` : `x="${at(x - 6)}" text-anchor="end"`;
  return `<line class="line dashes quiet" x1="${at(x)}" x2="${at(x)}" y1="${area.top}" y2="${area.bottom}"/><text ${anchor} y="${area.bottom - 8}">${escaped(text)}</text>`;
}
