/**
 * What every chart here has: an SVG that is readable in light and dark, with a title, axes, grid lines and a legend. A chart
 * is text with nothing in it that depends on when or where it was drawn, so it can be kept in a repository.
 */
import { scaleLinear, scaleLog } from "d3-scale";

/** Colours are told apart by people who confuse red and green; `quiet` is for what others are compared with. */
export type Colour = "blue" | "orange" | "green" | "purple" | "quiet";

export interface Axis {
  readonly label: string;
  /** log2: for what doubles, such as numbers of workers. */
  readonly scale: "linear" | "log2" | "log10";
  /** Where it must begin or end, if not where the values do. */
  readonly from?: number;
  readonly to?: number;
}

/** Maps a value to a place in the drawing. */
export type Scale = ((value: number) => number) & { ticks(count?: number): number[] };

export const WIDTH = 720;
const HEIGHT = 400;
/** Where the values are drawn. */
export const area = { left: 68, right: WIDTH - 24, top: 84, bottom: HEIGHT - 52 };

/** `values` are all that the axis has to show. */
export function scaleOf(axis: Axis, values: readonly number[], range: readonly [number, number]): Scale {
  const shown = values.filter((value) => Number.isFinite(value) && (axis.scale === "linear" || value > 0));
  const low = axis.from ?? Math.min(...shown);
  const high = axis.to ?? Math.max(...shown);
  if (axis.scale === "linear") return scaleLinear().domain([low, high]).nice().range(range);
  const base = axis.scale === "log2" ? 2 : 10;
  const widened = low === high ? [low / base, high * base] : [low, high];
  return scaleLog().base(base).domain(widened).range(range);
}

export const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** Places in the drawing need no more digits. */
export const at = (place: number): string => String(Math.round(place * 10) / 10);

/** 1,024 · 0.25 · 1.2e-7 */
function tickText(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && size < 1e-4) return value.toExponential();
  return value.toLocaleString("en-US", { maximumSignificantDigits: 5 });
}

/** Grid lines across the area with their numbers, and the axis' label. */
export function horizontalAxis(axis: Axis, scale: Scale): string {
  const ticks = ticksOf(axis, scale, 8).map((tick) => {
    const x = at(scale(tick));
    return `<line class="grid" x1="${x}" x2="${x}" y1="${area.top}" y2="${area.bottom}"/><text x="${x}" y="${area.bottom + 18}" text-anchor="middle">${tickText(tick)}</text>`;
  });
  const middle = (area.left + area.right) / 2;
  return `${ticks.join("")}<text class="label" x="${middle}" y="${HEIGHT - 12}" text-anchor="middle">${escaped(axis.label)}</text>`;
}

export function verticalAxis(axis: Axis, scale: Scale): string {
  const ticks = ticksOf(axis, scale, 6).map((tick) => {
    const y = at(scale(tick));
    return `<line class="grid" x1="${area.left}" x2="${area.right}" y1="${y}" y2="${y}"/><text x="${area.left - 8}" y="${y}" dy="0.32em" text-anchor="end">${tickText(tick)}</text>`;
  });
  return `${ticks.join("")}<text class="label" x="${area.left - 8}" y="${area.top - 12}" text-anchor="start" dx="-36">${escaped(axis.label)}</text>`;
}

/** A logarithmic axis has more ticks than there is room for; those at powers of its base say the most. */
function ticksOf(axis: Axis, scale: Scale, count: number): number[] {
  const ticks = scale.ticks(count);
  if (axis.scale === "linear") return ticks;
  const logarithm = axis.scale === "log2" ? Math.log2 : Math.log10;
  const powers = ticks.filter((tick) => Math.abs(logarithm(tick) - Math.round(logarithm(tick))) < 1e-9);
  return powers.length > 1 ? powers : ticks;
}

export interface LegendEntry {
  readonly name: string;
  readonly colour: Colour;
  readonly mark: "line" | "dashes" | "dots" | "box";
}

/** Names along the top, from left to right. */
export function legend(entries: readonly LegendEntry[]): string {
  let x = area.left - 44;
  return entries
    .map(({ name, colour, mark }) => {
      const marks = {
        line: `<line class="line ${colour}" x1="${x}" x2="${x + 18}" y1="44" y2="44"/>`,
        dashes: `<line class="line dashes ${colour}" x1="${x}" x2="${x + 18}" y1="44" y2="44"/>`,
        dots: `<circle class="fill ${colour}" cx="${x + 9}" cy="44" r="4"/>`,
        box: `<rect class="fill ${colour}" x="${x + 2}" y="38" width="12" height="12" rx="2"/>`,
      };
      const entry = `${marks[mark]}<text x="${x + 24}" y="44" dy="0.32em">${escaped(name)}</text>`;
      x += 24 + 6.6 * name.length + 20;
      return entry;
    })
    .join("");
}

const palette = (colours: Readonly<Record<Colour, string>>): string =>
  Object.entries(colours)
    .map(([name, value]) => `.line.${name}{stroke:${value}}.fill.${name}{fill:${value}}`)
    .join("");

const style = `text{font:12px system-ui,sans-serif;fill:#52606d}.title{font-size:15px;font-weight:600;fill:#1f2933}
.label{font-weight:600}.back{fill:#fff}.grid{stroke:#e4e7eb}.line{fill:none;stroke-width:2;stroke-linejoin:round}.dashes{stroke-dasharray:5 4}
${palette({ blue: "#2563eb", orange: "#d9730d", green: "#0f8a6b", purple: "#8b3fd9", quiet: "#9aa5b1" })}
@media (prefers-color-scheme:dark){text{fill:#b6bfca}.title{fill:#f5f7fa}.back{fill:#14181d}.grid{stroke:#2b323a}
${palette({ blue: "#6ea8fe", orange: "#f0a04b", green: "#3ccfa4", purple: "#c08bf5", quiet: "#7b8794" })}}`;

/** The whole drawing. `description` is for who cannot see it. */
export function drawing(title: string, description: string, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escaped(`${title}: ${description}`)}">
<style>${style}</style>
<rect class="back" width="${WIDTH}" height="${HEIGHT}" rx="8"/>
<text class="title" x="${area.left - 44}" y="22">${escaped(title)}</text>
${parts.join("\n")}
</svg>
`;
}
