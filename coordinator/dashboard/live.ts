/** The dashboard of a run that goes on, on the coordinator's own port. */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { LockstepError } from "../../shared/errors.ts";
import type { RunView } from "../http/view.ts";
import { fail } from "../server/answers.ts";
import type { Pages } from "../server/edge.ts";
import { pageFiles } from "./assets.ts";
import { eventHeaders, Feed } from "./feed.ts";
import { RunHistory } from "./history.ts";
import type { RunFacts } from "./page/messages.ts";
import { imageSide, Predictor } from "./predictor.ts";
import { earlierHistory } from "./read-run.ts";

/** A browser opens one; more than this are not people. */
const MOST_WATCHERS = 32;

const commands = { pause: "pause", resume: "unpause", checkpoint: "save", stop: "stop" } as const;

export function dashboardPages(run: RunView): (pages: Pages) => void {
  const history = new RunHistory();
  const feed = new Feed(run, history, factsOf(run));
  const predictor = new Predictor(run);
  // Of a run that goes on, what was before is read when somebody wants to see it.
  let earlier: Promise<void> | undefined = run.state.steps === 0 ? Promise.resolve() : undefined;
  const [resumedAt, startedAt] = [run.state.steps, Date.now()];
  const readEarlier = (): Promise<void> =>
    (earlier ??= earlierHistory(run.folder, resumedAt, startedAt, history).catch((error: unknown) => {
      // It is told to who asked; the next one tries again.
      earlier = undefined;
      throw error;
    }));
  run.watch((event) => {
    history.accept(event, Date.now());
    feed.event(event);
  });
  run.onClose(async () => {
    await feed.close();
    await predictor.close();
  });
  return (pages) => {
    pageFiles("run", pages);
    pages.get("/api/events", async (context) => {
      await readEarlier();
      if (feed.watchers >= MOST_WATCHERS) return fail(context, 503, tooMany);
      // Without a body there is nothing to wait for.
      if (context.req.method === "HEAD") return context.body(null, 200, eventHeaders);
      feed.add(context.env.outgoing, context.get("role") === "operator");
      return RESPONSE_ALREADY_SENT;
    });
    pages.get("/api/curve", async (context) => {
      await readEarlier();
      return context.body(history.curve.toBytes(), 200, { "content-type": "application/octet-stream" });
    });
    pages.get("/api/predict", async (context) => {
      try {
        return context.json(await predictor.predict(context.req.query("pixels") ?? ""));
      } catch (error) {
        if (error instanceof LockstepError) return fail(context, 400, error);
        throw error;
      }
    });
    for (const [path, command] of Object.entries(commands))
      pages.post(`/api/${path}`, (context) => {
        run.command(command);
        return context.json({ done: path });
      });
  };
}

const tooMany = new LockstepError(
  "CONNECTION_REFUSED",
  `${MOST_WATCHERS} pages show this run already`,
  "Close some of them.",
);

const factsOf = (run: RunView): RunFacts => ({
  name: run.config.name,
  folder: run.folder,
  parameters: run.parameters,
  steps: run.steps,
  epochs: run.config.epochs,
  imageSide: imageSide(run),
  config: run.config,
  manifest: run.manifest,
});
