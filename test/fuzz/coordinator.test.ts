/**
 * Random, spoiled and out-of-order frames at the production coordinator runtime while it trains with two honest workers:
 * nothing is thrown, nothing takes long, nothing is kept, and the run ends in the bits of one that was left alone.
 */
import { expect, test } from "vitest";
import { stepNumber } from "../../shared/ids.ts";
import { decodeFrame, encodeFrame } from "../../shared/protocol/codec.ts";
import type { Frame } from "../../shared/protocol/codec.ts";
import type { Room } from "../../shared/protocol/frame-reader.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";
import type { Hello, Partial, Ready, WorkerMessage } from "../../shared/protocol/messages.ts";
import { checkCoordinatorMessage } from "../../shared/protocol/validate.ts";
import { Outbox } from "../../shared/protocol/outbox.ts";
import { vectorBytes } from "../../shared/gradient/partial.ts";
import { job } from "../simulation/job.ts";
import { Cluster, token, undisturbed } from "./cluster.ts";
import { Dice } from "./dice.ts";
import { memoryInUse } from "./memory.ts";
import { unknownLink } from "../support/link.ts";

const FRAMES = 120_000;
const EPOCHS = 55;

const { train, evaluate } = job.layouts.partial;
const sizes = { train: vectorBytes(train), evaluate: vectorBytes(evaluate) };

/** Someone who may know the token, and keeps to no rule. */
class Attacker {
  isClosed = false;
  /** It was let in although it does not know the token. */
  isWronglyProven = false;
  readonly #dice: Dice;
  readonly #cluster: Cluster;
  readonly #handlers: ReturnType<Cluster["runtime"]["onConnection"]>;
  readonly #knowsToken: boolean;
  #challenge = "0".repeat(64);
  #reading: { readonly room: Room; readonly frame: Frame } | undefined;

  constructor(dice: Dice, cluster: Cluster) {
    this.#dice = dice;
    this.#cluster = cluster;
    this.#knowsToken = dice.chance(0.5);
    const outbox = new Outbox((frame, flushed) => {
      const message = checkCoordinatorMessage(decodeFrame(frame).header);
      if (message.type === "challenge") this.#challenge = message.nonce;
      flushed();
    });
    this.#handlers = cluster.runtime.onConnection({
      outbox,
      isLocal: false,
      isOwn: false,
      ...unknownLink,
      token,
      proven: () => (this.isWronglyProven ||= !this.#knowsToken),
      close: () => (this.isClosed = true),
    });
    if (this.#knowsToken && dice.chance(0.8)) this.send(encodeFrame(this.#hello()));
    if (this.#knowsToken && dice.chance(0.5)) this.send(encodeFrame(this.#ready()));
  }

  /** What of a frame belongs somewhere comes to there, perhaps bit by bit. */
  send(frame: Frame): void {
    const [header, section] = frame;
    const length = section?.length ?? this.#dice.below(9_000);
    const room = header && this.#handlers.roomFor?.(header, length);
    if (room === undefined) {
      this.#handlers.onFrame(frame);
      return;
    }
    this.#reading = { room, frame: [header!, section ?? Buffer.alloc(length, 7)] };
    if (this.#dice.chance(0.8)) this.#readOn();
  }

  #readOn(): void {
    const { room, frame } = this.#reading!;
    const { bytes } = room;
    bytes.set(frame[1]!);
    room.came(bytes.length);
    this.#reading = undefined;
    this.#handlers.onFrame([frame[0]!, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)]);
    room.over();
  }

  leave(): void {
    this.#reading?.room.over();
    this.#handlers.onClose("gone");
  }

  attack(): void {
    const dice = this.#dice;
    if (this.#reading !== undefined) {
      if (dice.chance(0.3)) this.#readOn();
      else this.#reading.room.bytes.fill(dice.below(256));
      return;
    }
    const heard = this.#cluster.heard.worker;
    const ways: (() => Frame)[] = [
      () => [dice.bytes(dice.below(200))],
      () => dice.frame(dice.value()),
      () => dice.frame(dice.spoiledMessage(this.#message())),
      () => encodeFrame(this.#message() as WorkerMessage),
      () => dice.spoiledFrame(encodeFrame(this.#message() as WorkerMessage)),
      () => {
        const partial = this.#partial();
        const size = sizes[partial.work.kind];
        const isPacked = partial.segment.packed !== undefined;
        return encodeFrame(partial, isPacked ? dice.bytes(dice.below(size)) : Buffer.alloc(size, 1 + dice.below(60)));
      },
      () => (heard.length === 0 ? [] : dice.spoiledFrame(dice.one(heard))),
    ];
    this.send(dice.one(ways)());
  }

  #hello(): Hello {
    const worker = "b".repeat(64);
    const nonces = { coordinator: this.#challenge, worker };
    const proof = (this.#knowsToken ? token : JoinToken.none).proof("worker", nonces);
    const { version } = job.settings;
    return { type: "hello", protocol: PROTOCOL_VERSION, version, name: "x", threads: 3, nonce: worker, proof };
  }

  /** Of the run's own arithmetic, so that it is given work. */
  #ready(): Ready {
    const { dataSha256, layoutHash } = job.settings;
    const fingerprint = this.#cluster.state.fingerprint ?? "0".repeat(64);
    return { type: "ready", dataSha256, layoutHash, fingerprint, sharesMemory: this.#dice.chance(0.5) };
  }

  /** A partial of any node, mostly of the open work; the checksum is never right. */
  #partial(): Partial {
    const dice = this.#dice;
    const { work, settings } = this.#cluster.state;
    const name =
      dice.chance(0.8) && work !== undefined
        ? work.name
        : ({ kind: "train", step: stepNumber(dice.below(90)) } as const);
    const { node } = dice.one([...(work?.pieces.values() ?? [])]) ?? {};
    const start = dice.below(6);
    return {
      type: "partial",
      run: settings.run,
      work: name,
      node: node !== undefined && dice.chance(0.7) ? [node.start, node.end] : [start, start + dice.below(6)],
      computeMicroseconds: dice.one([0, 5, 2 ** 53 - 1]),
      segment: {
        offset: 0,
        length: sizes[name.kind],
        total: sizes[name.kind],
        checksum: 1,
        ...dice.one([{}, { packed: "words" }, { packed: "differences" }] as const),
      },
    };
  }

  /** Any message, well-formed, at any time. */
  #message(): unknown {
    const dice = this.#dice;
    return dice.one([
      () => this.#hello(),
      () => this.#ready(),
      () => this.#partial(),
      () => {
        const { segment: _, ...partial } = this.#partial();
        return { ...partial, type: "placed-partial", position: dice.one([0, 64, 2 ** 53 - 1]), checksum: 1 };
      },
      () => ({ type: "failed", code: "DATA_MISSING", message: "x" }),
      () => ({ type: "damaged", version: dice.one([0, dice.below(90), 2 ** 32 - 1]) }),
      () => ({ type: "leave" }),
      () => ({ type: "heartbeat" }),
      // What coordinators say.
      () => ({ type: "challenge", nonce: this.#challenge }),
      () => ({ type: "end", reason: "completed" }),
    ])();
  }
}

test(`${FRAMES} hostile frames at a coordinator change nothing`, async () => {
  const hash = await undisturbed(EPOCHS);
  const dice = new Dice(1);
  const cluster = new Cluster(EPOCHS);
  for (const name of ["a", "b"]) cluster.startWorker(name);
  // Whoever is ready first decides the arithmetic of a run.
  while (cluster.state.fingerprint === undefined) {
    cluster.clock.advance(1);
    await cluster.deliver();
  }
  let attackers = Array.from({ length: 8 }, () => new Attacker(dice, cluster));
  let slowest = 0;
  let middle = 0;
  let endedAt = 0;
  for (let sent = 0; sent < FRAMES || cluster.ended === undefined; sent++) {
    const attacker = dice.one(attackers);
    const before = performance.now();
    attacker.attack();
    if (attacker.isWronglyProven) throw new Error("let in without the token");
    slowest = Math.max(slowest, performance.now() - before);
    // Frames that were on the way when the connection was closed still arrive.
    if (dice.chance(attacker.isClosed ? 0.5 : 0.03)) {
      attacker.leave();
      attackers = attackers.map((each) => (each === attacker ? new Attacker(dice, cluster) : each));
    }
    if (sent % 20 === 0) {
      cluster.clock.advance(1);
      await cluster.deliver();
    }
    if (cluster.ended !== undefined && endedAt === 0) endedAt = sent;
    if (sent === FRAMES / 2) middle = memoryInUse();
    expect(sent, "the run hangs").toBeLessThan(10 * FRAMES);
  }
  expect(cluster.ended).toBe("completed");
  expect(cluster.hash).toBe(hash);
  // The attack was on while the run was on, and nobody waited for long.
  expect(endedAt).toBeGreaterThan(FRAMES / 5);
  expect(slowest).toBeLessThan(1_000);
  for (const attacker of attackers) attacker.leave();
  expect(memoryInUse() - middle).toBeLessThan(4 << 20);
  expect(cluster.state.members.size).toBe(0);
}, 300_000);
