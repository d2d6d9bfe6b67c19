/**
 * The files that the page is made of. There is no bundler: the browser loads the modules one by one, in development as the
 * TypeScript they are, with the types stripped by Node, in the package as the JavaScript they were compiled to. Nothing is loaded
 * from another host, and nothing but these files is served.
 */
import { readdirSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Pages } from "../server/edge.ts";

/** What the page is of: one run that goes on, or a folder of runs. */
export type PageKind = "run" | "library";

/** .ts in development, .js in the package. */
const script = extname(import.meta.url);
const pageFolder = fileURLToPath(new URL("page/", import.meta.url));
const uplotFolder = dirname(fileURLToPath(import.meta.resolve("uplot")));

/** Modules of the coordinator that the page uses too; they import nothing. */
const shared = ["cli/format"];

interface Asset {
  readonly type: string;
  readonly body: string;
}

/** By their path below `assets/`, which mirrors coordinator/, so that relative imports hold. Read once, with the first request. */
let assets: ReadonlyMap<string, Asset> | undefined;

function readAssets(): ReadonlyMap<string, Asset> {
  const found = new Map<string, Asset>();
  for (const file of readdirSync(pageFolder))
    if (extname(file) === script && !file.endsWith(".d.ts"))
      found.set(`dashboard/page/${file}`, module(readFileSync(join(pageFolder, file), "utf8")));
  for (const name of shared) {
    const file = fileURLToPath(new URL(`../${name}${script}`, import.meta.url));
    found.set(`${name}${script}`, module(readFileSync(file, "utf8")));
  }
  const css = (body: string): Asset => ({ type: "text/css", body });
  found.set("dashboard/page/style.css", css(readFileSync(join(pageFolder, "style.css"), "utf8")));
  found.set("uplot.css", css(readFileSync(join(uplotFolder, "uPlot.min.css"), "utf8")));
  found.set("uplot.js", { type: "text/javascript", body: readFileSync(join(uplotFolder, "uPlot.esm.js"), "utf8") });
  return found;
}

function module(source: string): Asset {
  const stripped = script === ".ts" ? withoutTypes(source) : source;
  // A bare name would need an import map, which a strict policy for inline scripts forbids.
  return { type: "text/javascript", body: stripped.replaceAll('from "uplot"', 'from "../../uplot.js"') };
}

/** As Node does it for files that it runs itself; called by name, the function would warn that it may still change. */
function withoutTypes(source: string): string {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}

const html = (kind: PageKind): string =>
  readFileSync(join(pageFolder, "index.html"), "utf8").replaceAll("{{kind}}", kind).replaceAll("{{script}}", script);

export function pageFiles(kind: PageKind, pages: Pages): void {
  pages.get("/", (context) => context.html(html(kind), 200, { "cache-control": "no-cache" }));
  pages.get("/assets/*", (context) => {
    const path = context.req.path.slice("/assets/".length);
    const asset = (assets ??= readAssets()).get(path);
    if (asset === undefined) return context.notFound();
    return context.body(asset.body, 200, {
      "content-type": `${asset.type}; charset=utf-8`,
      "cache-control": "no-cache",
    });
  });
}
