/** The coordinator's HTTP edge, over real sockets: who is shown what, who may do something, and what a flood gets. */
import { once } from "node:events";
import { request } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Site } from "../../../coordinator/server/edge.ts";
import { listen } from "../../../coordinator/server/server.ts";
import type { ServerListener } from "../../../coordinator/server/server.ts";
import { JoinToken } from "../../../shared/protocol/handshake.ts";

const secret = "correct-horse-battery-staple";
const token = JoinToken.from(secret, "test");
const nobody: ServerListener = {
  onConnection: () => ({ onFrame() {}, onBytes() {}, onClose() {} }),
  onRefused() {},
};

/** A site with a page, something to do, and a page that fails. */
const site = (health = { alive: true, ready: true }): Site => ({
  health: () => health,
  mount(pages) {
    pages.get("/page", (context) => context.text(`for a ${context.get("role")}`));
    pages.post("/stop", (context) => context.text("stopped"));
    pages.get("/broken", () => {
      throw new Error("a defect");
    });
  },
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

type Ask = (path: string, headers?: Record<string, string>, method?: string, body?: string) => Promise<Answer>;

async function serve(with_: JoinToken, shown = site()): Promise<{ hostname: string; port: number }> {
  const server = await listen({
    host: "127.0.0.1",
    port: 0,
    token: with_,
    maxConnections: 9,
    partialBytes: 1 << 20,
  });
  onTestFinished(() => server.close());
  server.serve(nobody, shown);
  const { hostname, port } = new URL(server.url);
  return { hostname, port: Number(port) };
}

const open = async (with_: JoinToken, shown = site()): Promise<Ask> => askAt(await serve(with_, shown));

const askAt =
  ({ hostname, port }: { hostname: string; port: number }): Ask =>
  (path, headers = {}, method = "GET", body = "") =>
    new Promise((resolve, reject) => {
      const sent = request({ hostname, port, path, headers, method, agent: false }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, text }));
      });
      sent.on("error", reject).end(body);
    });

const bearer = (value: string): Record<string, string> => ({ authorization: `Bearer ${value}` });
const form = { "content-type": "application/x-www-form-urlencoded" };
const errorIn = ({ text }: Answer): { code: string; message: string; hint: string } =>
  (JSON.parse(text) as { error: { code: string; message: string; hint: string } }).error;

/** What the edge writes to the log from now on. */
function logged(): string[] {
  const written: string[] = [];
  const log = vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
  onTestFinished(() => log.mockRestore());
  return written;
}

describe("without a token", () => {
  it("who asks from this host may look and steer", async () => {
    const ask = await open(JoinToken.none);
    expect((await ask("/page")).text).toBe("for a operator");
    expect((await ask("/stop", {}, "POST")).text).toBe("stopped");
  });

  it.each(["forwarded", "x-forwarded-for", "x-real-ip"])(
    "whom a proxy on this host names in %s may only look",
    async (name) => {
      const ask = await open(JoinToken.none);
      expect((await ask("/page", { [name]: "203.0.113.9" })).text).toBe("for a reader");
      expect(errorIn(await ask("/stop", { [name]: "203.0.113.9" }, "POST"))).toMatchObject({
        code: "TOKEN_REFUSED",
        hint: "give the coordinator a join token",
      });
    },
  );

  it.each(["localhost:7000", "[::1]:7000", "10.1.2.3"])("a request to the name %s is answered", async (host) => {
    const ask = await open(JoinToken.none);
    expect((await ask("/page", { host })).status).toBe(200);
    expect((await ask("/page", { host, "sec-lockstep-worker": "1" })).status).toBe(200);
  });

  it("a request to a name that somebody may have pointed here is refused, but a worker's, which no page can send", async () => {
    const ask = await open(JoinToken.none);
    const host = "evil.example:7000";
    const answer = await ask("/page", { host });
    expect(answer.status).toBe(403);
    expect(errorIn(answer)).toMatchObject({
      code: "CONNECTION_REFUSED",
      hint: expect.stringContaining("IP address"),
    });
    expect((await ask("/page", { host, "sec-lockstep-worker": "1" })).status).toBe(200);
  });
});

describe("with a token", () => {
  it("those who know it may steer, those who know the reader's may look, others neither", async () => {
    const ask = await open(token);
    expect((await ask("/page", bearer(secret))).text).toBe("for a operator");
    expect((await ask("/stop", bearer(secret), "POST")).text).toBe("stopped");
    expect((await ask("/page", bearer(token.derived("reader")))).text).toBe("for a reader");
    const steering = await ask("/stop", bearer(token.derived("reader")), "POST");
    expect(steering.status).toBe(403);
    expect(errorIn(steering)).toMatchObject({
      code: "TOKEN_REFUSED",
      message: "the reader's token only lets you look",
    });
    for (const path of ["/page", "/stop", "/metrics", "/nothing"]) {
      const answer = await ask(path);
      expect(answer.status).toBe(401);
      expect(answer.headers["www-authenticate"]).toBe("Bearer");
      expect(errorIn(answer)).toMatchObject({ code: "TOKEN_REFUSED", hint: /lockstep token --reader/ });
    }
    expect((await ask("/page", bearer("wrong"))).status).toBe(401);
    expect((await ask("/page", { host: "train.example", ...bearer(secret) })).status).toBe(200);
  });

  it("a browser logs in once", async () => {
    const ask = await open(token);
    const page = await ask("/page", { accept: "text/html,*/*" });
    expect(page.status).toBe(401);
    expect(page.text).toContain('<form method="post" action="login">');
    const deeper = await ask("/api/run", { accept: "text/html,*/*" });
    expect(deeper.text).toContain('<form method="post" action="../login">');
    const wrong = await ask("/login", form, "POST", "token=nonsense");
    expect(wrong.text).toContain("neither the run's join token");
    expect(wrong.headers["set-cookie"]).toBeUndefined();
    const login = await ask("/login", form, "POST", `token=${token.derived("reader")}`);
    expect([login.status, login.headers.location]).toEqual([303, "./"]);
    const [cookie] = login.headers["set-cookie"]!;
    expect(cookie).toMatch(/HttpOnly/);
    expect(cookie).toMatch(/SameSite=Strict/);
    const session = { cookie: cookie!.split(";")[0]! };
    expect((await ask("/page", session)).text).toBe("for a reader");
    expect((await ask("/stop", session, "POST")).status).toBe(403);
    expect((await ask("/page", { cookie: "lockstep=operator.9999999999.x" })).status).toBe(401);
  });

  it("ten wrong ones a minute are looked at, and after that none, right or wrong", async () => {
    const ask = await open(token);
    // To come without one is no attempt.
    for (let count = 0; count < 20; count++) expect((await ask("/page")).status).toBe(401);
    for (let count = 0; count < 9; count++) expect((await ask("/page", bearer(`guess-${count}`))).status).toBe(401);
    expect((await ask("/page", bearer(secret))).status).toBe(200);
    expect((await ask("/login", form, "POST", "token=guess")).status).toBe(401);
    const barred = await ask("/page", bearer(secret));
    expect([barred.status, barred.headers["retry-after"]]).toEqual([429, "60"]);
    expect((await ask("/login", form, "POST", `token=${secret}`)).text).toContain("wait a minute");
  });
});

describe("web pages", () => {
  const requests = [
    ["/page", "GET"],
    ["/stop", "POST"],
  ] as const;

  it.each([
    ["of another site", { origin: "https://evil.example" }],
    ["in a frame without an origin", { origin: "null" }],
    ["behind a proxy that hides the host", { origin: "https://train.example", host: "127.0.0.1:7000" }],
  ])("%s are refused", async (_what, headers) => {
    const ask = await open(token);
    for (const [path, method] of requests) {
      const answer = await ask(path, { ...headers, ...bearer(secret) }, method);
      expect(answer.status).toBe(403);
      expect(errorIn(answer).hint).toMatch(/a proxy before it must hand the Host header on/);
    }
  });

  it("behind a proxy that hands the host on are answered", async () => {
    const ask = await open(token);
    const headers = { origin: "https://train.example", host: "train.example", ...bearer(secret) };
    for (const [path, method] of requests) expect((await ask(path, headers, method)).status).toBe(200);
  });

  it("get no leave to be framed or to load anything from elsewhere", async () => {
    const ask = await open(JoinToken.none);
    const { headers } = await ask("/page");
    expect(headers["content-security-policy"]).toMatch(/default-src 'self'/);
    expect(headers["x-frame-options"]).toBe("SAMEORIGIN");
    expect(headers["access-control-allow-origin"]).toBeUndefined();
  });
});

describe("bodies", () => {
  /** The status of the answer to bytes that no client library would send; NaN where there is none. */
  const sendRaw = ({ hostname, port }: { hostname: string; port: number }, head: string, body = "") =>
    new Promise<number>((resolve) => {
      let text = "";
      const lines = [head, "Host: localhost", "Connection: close", "", body].join("\r\n");
      const socket = connect(port, hostname, () => socket.write(lines));
      socket.setEncoding("latin1").on("data", (part: string) => (text += part));
      socket.on("error", () => {});
      socket.on("close", () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1])));
    });
  const chunked = "Transfer-Encoding: chunked";
  const multipart = "Content-Type: multipart/form-data";

  it.each([
    ["none", 200, "POST /stop HTTP/1.1", ""],
    ["a short one", 200, "POST /stop HTTP/1.1\r\nContent-Length: 3", "abc"],
    ["one in pieces", 411, `POST /stop HTTP/1.1\r\n${chunked}`, "3\r\nabc\r\n0\r\n\r\n"],
    ["one in pieces without an end", 411, `POST /stop HTTP/1.1\r\n${chunked}`, "3\r\nabc\r\n"],
    ["one that is too long", 413, "POST /stop HTTP/1.1\r\nContent-Length: 20000", "abc"],
    ["one of a GET that is too long", 413, "GET /page HTTP/1.1\r\nContent-Length: 20000", "abc".repeat(7000)],
  ])("%s, where none is expected, is answered with %i", async (_what, status, head, body) => {
    const written = logged();
    expect(await sendRaw(await serve(JoinToken.none), head, body)).toBe(status);
    expect(written).toEqual([]);
  });

  it.each([
    ["no form at all", "POST /login HTTP/1.1", ""],
    ["a broken form of many parts", `POST /login HTTP/1.1\r\n${multipart}\r\nContent-Length: 3`, "abc"],
    ["a form without a token", "POST /login HTTP/1.1\r\nContent-Length: 3", "a=%"],
  ])("%s is a wrong token", async (_what, head, body) => {
    const written = logged();
    const at = await serve(token);
    for (let count = 0; count < 10; count++) expect(await sendRaw(at, head, body)).toBe(401);
    expect((await askAt(at)("/page", bearer(secret))).status).toBe(429);
    expect(written).toEqual([]);
  });

  it.each([
    ["where there is a token, from an address whose forms broke off before", token, "401"],
    ["where there is none", JoinToken.none, "303"],
  ])("forms that never come whole take no place, %s", async (_, with_, status) => {
    const place = await serve(with_);
    const ask = askAt(place);
    const beginForms = () =>
      Promise.all(
        Array.from({ length: 64 }, async () => {
          const socket = connect(place.port, place.hostname);
          onTestFinished(() => void socket.destroy());
          await once(socket, "connect");
          socket.write(`POST /login HTTP/1.1\r\nHost: ${place.hostname}\r\nContent-Length: 100\r\n\r\ntoken=`);
          return socket;
        }),
      );
    const [cookie = ""] = (await ask("/login", form, "POST", `token=${secret}`)).headers["set-cookie"] ?? [];
    for (const socket of await beginForms()) socket.destroy();
    const looked = async (): Promise<number> => (await ask("/page", { cookie: cookie.split(";")[0]! })).status;
    await expect.poll(looked).toBe(200);
    // Answered, and not cut off when ten seconds are over.
    const answers = await Promise.all((await beginForms()).map((socket) => once(socket, "data")));
    expect(new Set(answers.map(([head]) => String(head).slice(9, 12)))).toEqual(new Set([status]));
    expect(await looked()).toBe(200);
  });

  it("whoever hangs up in the middle of a form leaves nothing in the log", async () => {
    const written = logged();
    const { hostname, port } = await serve(token);
    const socket = connect(port, hostname);
    socket.write("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ntoken=", () =>
      socket.destroy(),
    );
    await new Promise((resolve) => socket.on("close", resolve));
    expect((await askAt({ hostname, port })("/healthz")).status).toBe(200);
    expect(written).toEqual([]);
  });
});

describe("probes", () => {
  it.each([
    [{ alive: true, ready: true }, 200, 200],
    [{ alive: true, ready: false }, 200, 503],
    [{ alive: false, ready: false }, 503, 503],
  ])("of a run that is %o", async (health, healthz, readyz) => {
    const ask = await open(token, site(health));
    expect((await ask("/healthz", { host: "10.0.0.7:7000" })).status).toBe(healthz);
    expect((await ask("/readyz", { host: "any.name" })).status).toBe(readyz);
  });

  it("before the run is there", async () => {
    const server = await listen({ host: "127.0.0.1", port: 0, token, maxConnections: 9, partialBytes: 1 << 20 });
    onTestFinished(() => server.close());
    expect((await fetch(server.url.replace("ws", "http"))).status).toBe(503);
  });
});

it("a flood gets 200 answers a second, and probes are answered all the same", async () => {
  const at = await serve(JoinToken.none);
  // On each connection one behind the other without waiting: more than 200 a second on any machine.
  const asked = "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(25);
  const flood = (): Promise<string> =>
    new Promise((resolve) => {
      let text = "";
      const socket = connect(at.port, at.hostname, () => socket.end(asked));
      socket.setEncoding("latin1").on("data", (part: string) => (text += part));
      // Whoever is refused is also cut off.
      socket.on("error", () => {}).on("close", () => resolve(text));
    });
  const begun = performance.now();
  const answers = await Promise.all(Array.from({ length: 40 }, flood));
  const statuses = [...answers.join("").matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
  const seconds = Math.ceil((performance.now() - begun) / 1_000);
  const answered = statuses.filter((status) => status === "200").length;
  expect(answered).toBeGreaterThanOrEqual(200);
  expect(answered).toBeLessThanOrEqual(200 * (1 + seconds));
  expect(statuses).toContain("429");
  expect((await askAt(at)("/healthz")).status).toBe(200);
});

it("a handler that fails is a defect in the log, and no end of anything", async () => {
  const ask = await open(JoinToken.none);
  const written = logged();
  const answer = await ask("/broken");
  expect([answer.status, errorIn(answer).code]).toEqual([500, "DEFECT"]);
  expect(answer.text).not.toContain("a defect");
  expect(written.join("")).toMatch(/while answering GET \/broken: Error: a defect\n +at/);
  expect((await ask("/page")).status).toBe(200);
  expect((await ask("/nothing")).status).toBe(404);
});
