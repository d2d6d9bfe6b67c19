/**
 * What a run shows over HTTP: the one place where pages are mounted. To add some, write a file beside this one with a
 * function of the run that returns what calls `pages.get("/path", handler)`, and name it in `parts`. Who may ask, where from
 * and how often is settled before a handler is called (server/edge.ts): GET for whoever may look, other methods for operators.
 */
import { dashboardPages } from "../dashboard/live.ts";
import type { Pages, Site } from "../server/edge.ts";
import { dataPages } from "./data.ts";
import { metricsPage } from "./metrics.ts";
import type { RunView } from "./view.ts";

/** A part of the site: made once for a run, mounted at every port that the run listens at. */
type Part = (run: RunView) => (pages: Pages) => void;

const parts: readonly Part[] = [metricsPage, dataPages, dashboardPages];

/** The core is told the time ten times a second; without that for so long it is not at work, whatever the reason. Milliseconds. */
const STUCK_AFTER = 20_000;

export function siteOf(run: RunView): Site {
  const mounts = parts.map((part) => part(run));
  return {
    health() {
      const { state } = run;
      const alive = run.now() - state.lastTick < STUCK_AFTER || state.phase === "ended";
      return { alive, ready: alive && state.phase !== "ended" && state.stopRequested === undefined };
    },
    mount(pages) {
      for (const mount of mounts) mount(pages);
    },
  };
}
