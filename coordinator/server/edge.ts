/**
 * Everything that comes to the coordinator's port over HTTP and is no worker's WebSocket. In this order: how much may be asked at
 * all, so that nobody who asks slows the training; probes, which learn a word; where the request comes from; who
 * asks (access.ts); and then what a run shows, mounted by whoever serves it (http/routes.ts). Errors are JSON:
 * `{ error: { code, message, hint } }`.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import type { Context } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { secureHeaders } from "hono/secure-headers";
import { LockstepError } from "../../shared/errors.ts";
import type { JoinToken } from "../../shared/protocol/handshake.ts";
import { WORKER_HEADER } from "../../shared/protocol/messages.ts";
import type { TlsMaterial } from "../../shared/tls.ts";
import { Access, SESSION_COOKIE, SESSION_LIFE } from "./access.ts";
import type { Role } from "./access.ts";
import { fail } from "./answers.ts";
import type { Gate } from "./gate.ts";
import { loginPage } from "./login-page.ts";
import { isOtherSite, isOwnName } from "./origin.ts";
import { Ration } from "./ration.ts";

/** What a handler finds in its context: Node's own request and response, and who asks. */
export interface SiteEnv {
  Bindings: HttpBindings;
  Variables: { role: Role };
}

/** Where a run's pages are mounted. */
export type Pages = Hono<SiteEnv>;

/** What is to be shown of a run. */
export interface Site {
  /** For /healthz and /readyz, which anyone may ask: whether this process does its work, and takes workers. */
  readonly health: () => { readonly alive: boolean; readonly ready: boolean };
  /**
   * Mounts the pages. GET and HEAD are answered for readers and operators, every other method for operators alone: a handler need
   * not check that.
   */
  readonly mount: (pages: Pages) => void;
}

/** Who may come to a port, and how. */
export interface PortRules {
  readonly host: string;
  readonly token: JoinToken;
  readonly tls?: TlsMaterial | undefined;
}

/** The one body that is read is a token in a form; bytes. */
const LONGEST_BODY = 16_384;

/** What answers the requests at a door. */
export function httpEdge(
  site: Site,
  door: PortRules,
  gate: Gate,
): (request: IncomingMessage, response: ServerResponse) => void {
  const access = new Access(door.token);
  const ration = new Ration();
  const pages = new Hono<SiteEnv>();
  pages.use(
    secureHeaders({
      contentSecurityPolicy: { defaultSrc: ["'self'"], imgSrc: ["'self'", "data:"] },
      // Without a referrer browsers send the login form with the origin null.
      referrerPolicy: "same-origin",
    }),
  );
  pages.get("/healthz", (context) => answerProbe(context, site.health().alive));
  pages.get("/readyz", (context) => answerProbe(context, site.health().ready));
  pages.use(async (context, next) => {
    const refused = refusedOrigin(context, access, door.host);
    return refused === undefined ? next() : fail(context, 403, refused);
  });
  pages.use(async (context, next) => {
    const { headers } = context.env.incoming;
    // Node reads no more than the length that was said; one that is not said would have to be counted.
    if (headers["transfer-encoding"] !== undefined) return fail(context, 411, lengthMissing);
    return Number(headers["content-length"] ?? 0) > LONGEST_BODY ? fail(context, 413, tooLong) : next();
  });
  pages.post("/login", (context) => login(context, access, gate, door.tls !== undefined));
  pages.use(async (context, next) => {
    const role = roleOf(context, access, gate);
    if (role instanceof Response) return role;
    if (role === "reader" && !["GET", "HEAD"].includes(context.req.method)) return fail(context, 403, readOnly(access));
    context.set("role", role);
    return next();
  });
  site.mount(pages);
  pages.notFound((context) => fail(context, 404, notThere(context.req.path)));
  pages.onError((error, context) => fail(context, 500, error));
  const listener = getRequestListener((request, env) => pages.fetch(request, env), { overrideGlobalObjects: false });
  return (request, response) => {
    const probe = request.url === "/healthz" || request.url === "/readyz";
    // A flood must not have the coordinator taken for dead.
    if (!probe && !ration.take(response, performance.now())) {
      response.writeHead(429, { "retry-after": "1", connection: "close" }).end();
      return;
    }
    void listener(request, response);
  };
}

type SiteContext = Context<SiteEnv>;

const answerProbe = (context: SiteContext, good: boolean): Response =>
  good ? context.text("ok\n") : context.text("not now\n", 503);

const addressOf = (context: SiteContext): string => context.env.incoming.socket.remoteAddress ?? "";

function roleOf(context: SiteContext, access: Access, gate: Gate): Role | Response {
  const { remoteAddress, localAddress } = context.env.incoming.socket;
  if (!access.isGuarded) return remoteAddress === localAddress && !isForwarded(context) ? "operator" : "reader";
  const cookie = getCookie(context, SESSION_COOKIE);
  const session = cookie === undefined ? undefined : access.roleOfSession(cookie, Date.now());
  if (session !== undefined) return session;
  const [, bearer] = /^Bearer +(\S+)$/i.exec(context.req.header("authorization") ?? "") ?? [];
  if (bearer !== undefined) return roleOfSecret(context, bearer, access, gate);
  context.header("www-authenticate", "Bearer");
  const isPage = context.req.method === "GET" && context.req.header("accept")?.includes("text/html") === true;
  return isPage ? context.html(loginPage(context.req.path), 401) : fail(context, 401, tokenMissing);
}

/** A proxy on this host says that it asks for somebody else. */
const isForwarded = ({ req }: SiteContext): boolean =>
  ["forwarded", "x-forwarded-for", "x-real-ip"].some((name) => req.header(name) !== undefined);

/** The role of whoever names this secret, or the answer to one that is wrong. */
function roleOfSecret(context: SiteContext, secret: string, access: Access, gate: Gate): Role | Response {
  const now = performance.now();
  const barred = gate.objectionTo(addressOf(context), now);
  if (barred !== undefined) {
    context.header("retry-after", "60");
    return fail(context, 429, barred);
  }
  const role = access.roleOf(secret);
  if (role !== undefined) return role;
  gate.failed(addressOf(context), now);
  return fail(context, 401, tokenWrong);
}

async function login(context: SiteContext, access: Access, gate: Gate, secure: boolean): Promise<Response> {
  // Nobody needs to, and forms that come slowly would only take the place of others.
  if (!access.isGuarded) return context.redirect("./", 303);
  const again = (problem: "wait" | "wrong"): Response | Promise<Response> =>
    context.html(loginPage("/login", problem), 401);
  // Before the form has come: it need never come.
  if (gate.objectionTo(addressOf(context), performance.now()) !== undefined) return again("wait");
  // What breaks off, and what is no such form, holds no token: a stranger sent it, and it is no defect.
  const form = new URLSearchParams(await context.req.text().catch(() => ""));
  const role = roleOfSecret(context, form.get("token")?.trim() ?? "", access, gate);
  if (role instanceof Response) return again(role.status === 429 ? "wait" : "wrong");
  const value = access.session(role, Date.now());
  setCookie(context, SESSION_COOKIE, value, {
    httpOnly: true,
    sameSite: "Strict",
    path: "/",
    maxAge: SESSION_LIFE,
    secure,
  });
  return context.redirect("./", 303);
}

function refusedOrigin(context: SiteContext, access: Access, host: string): LockstepError | undefined {
  const { headers } = context.env.incoming;
  const refused = (sentence: string, hint: string): LockstepError =>
    new LockstepError("CONNECTION_REFUSED", sentence, hint);
  if (isOtherSite(headers))
    return refused(
      `a page of ${headers.origin} asked for it, and this is ${headers.host ?? "a host without a name"}`,
      "open the coordinator's own page; a proxy before it must hand the Host header on",
    );
  // Any site may let its own name point here; a page of it could read what needs no token. Pages cannot set `sec-` headers.
  if (access.isGuarded || headers[WORKER_HEADER] !== undefined || isOwnName(headers, host)) return undefined;
  return refused(
    `a run without a join token does not answer to the name ${headers.host ?? "that is missing"}`,
    "ask for it by its IP address, start the coordinator with --host and that name, or give it a join token",
  );
}

const tokenMissing = new LockstepError(
  "TOKEN_REFUSED",
  "this run is shown to those who know its token",
  "send `authorization: Bearer TOKEN`; `lockstep token --reader` prints one that lets nobody join or steer",
);
const tokenWrong = new LockstepError(
  "TOKEN_REFUSED",
  "that is neither the run's join token nor the reader's token",
  "`lockstep token --reader` prints the reader's token that belongs to a join token",
);
const readOnly = (access: Access): LockstepError =>
  new LockstepError(
    "TOKEN_REFUSED",
    access.isGuarded
      ? "the reader's token only lets you look"
      : "without a join token a run is steered from its own host only",
    access.isGuarded ? "log in with the join token" : "give the coordinator a join token",
  );
const lengthMissing = new LockstepError(
  "PROTOCOL_VIOLATION",
  "the body comes in pieces, and its length is not said",
  "send it whole with Content-Length, or none: only /login needs one",
);
const tooLong = new LockstepError(
  "PROTOCOL_VIOLATION",
  `the body is longer than ${LONGEST_BODY.toLocaleString("en-US")} bytes`,
  "send none: only /login needs one",
);
const notThere = (path: string): LockstepError =>
  new LockstepError("PROTOCOL_VIOLATION", `there is no ${path} here`, "/metrics, /healthz and /readyz are");
