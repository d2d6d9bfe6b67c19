/**
 * Connections between workers and the coordinator, as TCP and WebSockets are: frames of one connection arrive in order
 * and whole, those of different connections in any order. What can go wrong is here: lost peers, partitions, slow links,
 * and, beyond TCP, frames that come twice or damaged.
 */
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { decodeFrame } from "../../shared/protocol/codec.ts";
import type { Frame } from "../../shared/protocol/codec.ts";
import type { ServerListener } from "../../coordinator/server/server.ts";
import type { Client, ClientListener } from "../../worker/client.ts";
import { copyOf, End } from "./connection.ts";
import type { Item } from "./connection.ts";
import type { SimulatedProcess } from "./process.ts";
import type { World } from "./world.ts";
import { unknownLink } from "../support/link.ts";

/** Every third worker is on the coordinator's host: what it sends and is sent is not packed, and in long segments. */
const isLocal = (host: string): boolean => /[369]$/.test(host);

/** What the network does to one worker's host. */
export interface Conditions {
  /** Milliseconds a frame takes, at least and at most. */
  latency: readonly [number, number];
  /** Nothing passes before this moment. */
  partitionedUntil: number;
  slowUntil: number;
  /** Share of frames with tensors that come a second time, or with a wrong bit. */
  duplicated: number;
  damaged: number;
}

const HANDSHAKE_TIMEOUT = 5_000;
const SLOWNESS = 40;

export class Network {
  readonly world: World;
  /** Whether any frame has been damaged so far. */
  hasDamaged = false;
  readonly #conditions = new Map<string, Conditions>();
  #server: { readonly process: SimulatedProcess; readonly listener: ServerListener } | undefined;
  #ends: End[] = [];

  constructor(world: World) {
    this.world = world;
  }

  conditionsOf(host: string): Conditions {
    let conditions = this.#conditions.get(host);
    if (conditions === undefined) {
      const latency = [0.2, this.world.between(1, 30)] as const;
      conditions = { latency, partitionedUntil: 0, slowUntil: 0, duplicated: 0, damaged: 0 };
      this.#conditions.set(host, conditions);
    }
    return conditions;
  }

  /** The coordinator accepts connections from now on. */
  listen(process: SimulatedProcess, listener: ServerListener): void {
    this.#server = { process, listener };
  }

  connect(process: SimulatedProcess, listener: ClientListener): Client {
    const worker = new End(this, process, process.name);
    worker.listener = {
      onOpen: () => listener.onOpen(),
      onFrame: (frame) => listener.onFrame(frame),
      roomFor: (header, length) => listener.roomFor?.(header, length),
      onClose: (reason) => listener.onClose(reason),
    };
    this.#ends.push(worker);
    this.#reach(worker);
    process.after(HANDSHAKE_TIMEOUT, () => worker.state === "connecting" && worker.terminate("no answer"));
    return { outbox: worker.outbox, close: () => worker.close(), terminate: () => worker.terminate() };
  }

  /** Knocks at the coordinator, again and again while nothing passes. */
  #reach(worker: End): void {
    const { world } = this;
    world.at(this.arrival(worker.host), () => {
      if (world.now < this.conditionsOf(worker.host).partitionedUntil) {
        this.#reach(worker);
        return;
      }
      const server = this.#server;
      if (worker.state !== "connecting" || server === undefined) return;
      if (!server.process.alive) {
        world.at(this.arrival(worker.host), () => worker.process.perform(() => worker.reset("nothing listens")));
        return;
      }
      server.process.perform(() => this.#accept(worker, server.process, server.listener));
    });
  }

  #accept(worker: End, process: SimulatedProcess, listener: ServerListener): void {
    const end = new End(this, process, worker.host);
    this.#ends.push(end);
    end.state = "open";
    end.peer = worker;
    worker.peer = end;
    if (worker.state === "closed") worker.send({ kind: "close" });
    end.send({ kind: "open" });
    const { outbox } = end;
    const handlers = listener.onConnection({
      outbox,
      isLocal: isLocal(worker.host),
      isOwn: false,
      ...unknownLink,
      token: JoinToken.none,
      proven: () => {},
      close: () => end.close(),
    });
    // As the server does.
    end.listener = isLocal(worker.host) ? handlers : { ...handlers, roomFor: () => undefined };
  }

  /** When something sent now arrives. */
  arrival(host: string): number {
    const { latency, slowUntil } = this.conditionsOf(host);
    const { world } = this;
    return world.now + world.between(...latency) * (world.now < slowUntil ? SLOWNESS : 1);
  }

  /** What becomes of a frame on its way: the frame itself, or with a wrong bit in its tensor. */
  spoiled(from: End, item: Item): Item {
    const { duplicated, damaged } = this.conditionsOf(from.host);
    if (item.kind !== "frame" || duplicated + damaged === 0) return item;
    const { section } = decodeFrame(item.frame);
    if (section.length === 0) return item;
    const isFromWorker = from.process.name === from.host;
    if (isFromWorker && this.world.random() < duplicated) this.#again(from, copyOf(item.frame));
    if (this.world.random() >= damaged) return item;
    this.hasDamaged = true;
    const frame = copyOf(item.frame);
    frame[1]![Math.floor(this.world.random() * section.length)]! ^= 4;
    return { kind: "frame", frame };
  }

  /** Delivers a worker's frame a second time, whenever, as long as its connection is there. */
  #again(from: End, frame: Frame): void {
    this.world.after(this.world.between(1, this.world.random() < 0.5 ? 60 : 3_000), () => {
      const end = from.peer;
      end?.process.perform(() => end.take({ kind: "frame", frame }));
    });
  }

  /** The connection of a worker that both sides think is open. */
  connectionOf(host: string): { worker: End; coordinator: End } | undefined {
    const worker = this.#ends.find((end) => end.process.name === host && end.state === "open");
    return worker?.peer === undefined ? undefined : { worker, coordinator: worker.peer };
  }

  /** The ends of a process that it thinks are not closed. */
  endsOf(process: SimulatedProcess): End[] {
    this.#ends = this.#ends.filter((end) => end.state !== "closed");
    return this.#ends.filter((end) => end.process === process);
  }
}
