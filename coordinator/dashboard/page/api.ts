/** What the page asks of the server it came from. All addresses are relative, so it also works below a proxy's path. */
import type { Failure, RunSnapshot, RunUpdate } from "./messages.ts";

/** A sentence for people, with what to do. */
export class AskFailed extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

const unreachable = "There is no connection to Lockstep at this address.";
const notLockstep = (path: string, status: number): string =>
  `What answered at ${new URL(path, document.baseURI).pathname} (HTTP ${status}) is not Lockstep. Behind a proxy, everything below this page's address must be handed on to it, and the address must end with a slash.`;

/** Throws AskFailed. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(path, init).catch(() => {
    throw new AskFailed(unreachable, 0);
  });
  if (response.ok) return response;
  const failure = (await response.json().catch(() => undefined)) as Partial<Failure> | undefined;
  if (failure?.error === undefined) throw new AskFailed(notLockstep(path, response.status), response.status);
  throw new AskFailed(sentenceOf(failure.error), response.status);
}

/** What is wrong, and what to do. */
export const sentenceOf = ({ message, hint }: Failure["error"]): string => `${message}: ${hint}`;

/** Throws AskFailed. */
export async function askJson<Answer>(path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await ask(path, init);
  // A proxy that answers every address with a page of its own says that all is well.
  return (await response.json().catch(() => {
    throw new AskFailed(notLockstep(path, response.status), response.status);
  })) as Answer;
}

export interface FeedListener {
  onSnapshot(snapshot: RunSnapshot): void;
  onUpdate(update: RunUpdate): void;
  /** The connection is lost, and is tried again; undefined: it is there. */
  onTrouble(sentence: string | undefined): void;
}

const RETRY_AFTER = 2_000;
const QUIET_AFTER = 6_000;

/** Listens to a run until it is over or the result is called. While the page is hidden it does not listen. */
export function follow(listener: FeedListener): () => void {
  let source: EventSource | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let quiet: ReturnType<typeof setTimeout> | undefined;
  let ended = false;

  const close = (): void => {
    source?.close();
    source = undefined;
    clearTimeout(retry);
    clearTimeout(quiet);
  };
  const open = (): void => {
    close();
    if (ended || document.hidden) return;
    const opened = new EventSource("api/events");
    source = opened;
    quiet = setTimeout(() => listener.onTrouble(heldBack), QUIET_AFTER);
    opened.addEventListener("snapshot", (event: MessageEvent<string>) => {
      clearTimeout(quiet);
      listener.onTrouble(undefined);
      listener.onSnapshot(JSON.parse(event.data) as RunSnapshot);
    });
    opened.addEventListener("update", (event: MessageEvent<string>) =>
      listener.onUpdate(JSON.parse(event.data) as RunUpdate),
    );
    opened.addEventListener("error", () => {
      close();
      if (ended) return;
      listener.onTrouble(lost);
      void reason().then((sentence) => listener.onTrouble(sentence));
      retry = setTimeout(open, RETRY_AFTER);
    });
  };
  const onVisibility = (): void => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", onVisibility);
  open();
  return () => {
    ended = true;
    document.removeEventListener("visibilitychange", onVisibility);
    close();
  };
}

const lost = "The connection to the coordinator is lost; trying again. If it was ended, start it with --resume.";
const heldBack =
  "No events arrive. A proxy must not hold back text/event-stream: switch its buffering off for this address.";

/** Why there are no events: an event source does not tell. */
async function reason(): Promise<string> {
  try {
    await ask("api/curve", { method: "HEAD" });
    return lost;
  } catch (error) {
    return error instanceof AskFailed && error.status !== 0 ? error.message : lost;
  }
}
