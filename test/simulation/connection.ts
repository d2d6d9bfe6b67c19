/** One end of a WebSocket connection, with the close handshake as `ws` does it. */
import { decodeFrame } from "../../shared/protocol/codec.ts";
import type { Frame } from "../../shared/protocol/codec.ts";
import type { Room } from "../../shared/protocol/frame-reader.ts";
import { Outbox } from "../../shared/protocol/outbox.ts";
import type { WriteFrame } from "../../shared/protocol/outbox.ts";
import type { SimulatedProcess } from "./process.ts";
import type { World } from "./world.ts";

/** What travels from one end to the other. */
export type Item = { readonly kind: "open" | "close" } | { readonly kind: "frame"; frame: Frame };

/** The network between two ends. */
interface Wire {
  readonly world: World;
  /** Nothing passes to and from a host before the one moment, and slowly before the other. */
  conditionsOf(host: string): { readonly partitionedUntil: number; readonly slowUntil: number };
  /** When something sent now arrives. */
  arrival(host: string): number;
  /** What becomes of an item on its way. */
  spoiled(from: End, item: Item): Item;
}

interface Listener {
  onOpen?(): void;
  onFrame(frame: Frame): void;
  roomFor?(header: Buffer, length: number): Room | undefined;
  onClose(reason: string): void;
}

/** How long `ws` waits for the other side to close. */
const CLOSE_TIMEOUT = 30_000;
/** Vectors whose frames may wait in one outbox: the partials of one work, or the parameters of one version. */
const MOST_WAITING = 64;

export class End {
  readonly process: SimulatedProcess;
  /** The worker's host, whichever end this is: the network's conditions belong to it. */
  readonly host: string;
  readonly outbox: WatchedOutbox;
  state: "connecting" | "open" | "closing" | "closed" = "connecting";
  peer: End | undefined;
  listener: Listener | undefined;
  /** What this end sends vanishes. */
  isMute = false;
  readonly #network: Wire;
  readonly #underWay: Item[] = [];
  /** Where a section is read to at the moment, and what has come behind it. */
  #room: Room | undefined;
  #behind: Item[] = [];
  #lastFlush = 0;
  #lastArrival = 0;

  constructor(network: Wire, process: SimulatedProcess, host: string) {
    this.#network = network;
    this.process = process;
    this.host = host;
    this.outbox = new WatchedOutbox(process, (frame, flushed) => {
      if (this.state !== "open") return;
      const item: Item = { kind: "frame", frame };
      this.send(item);
      // A peer that takes nothing more leaves what was written last in the socket's buffer.
      if (this.isMute) return;
      const { world } = this.#network;
      const { partitionedUntil, slowUntil } = this.#network.conditionsOf(host);
      // One behind the other, as sockets do; where the link hardly takes anything, when it arrives.
      const isTaken = world.now >= Math.max(partitionedUntil, slowUntil);
      const flush = isTaken ? world.now + world.between(0, 1) : Math.max(this.#lastArrival, partitionedUntil);
      this.#lastFlush = Math.max(this.#lastFlush, flush);
      // Until it is flushed a frame is what lies in memory: whoever writes there meanwhile spoils it.
      process.after(this.#lastFlush - world.now, () => {
        item.frame = copyOf(frame);
        flushed();
      });
    });
  }

  /** Puts something on its way: behind what was sent before, if it arrives at all. */
  send(item: Item): void {
    if (this.isMute || this.peer === undefined) return;
    this.#underWay.push(this.#network.spoiled(this, item));
    this.#lastArrival = Math.max(this.#lastArrival, this.#network.arrival(this.host));
    this.#network.world.at(this.#lastArrival, () => this.#arrive());
  }

  #arrive(): void {
    const { world } = this.#network;
    const { partitionedUntil } = this.#network.conditionsOf(this.host);
    if (world.now < partitionedUntil) {
      world.at(partitionedUntil, () => this.#arrive());
      return;
    }
    const item = this.#underWay.shift();
    const { peer } = this;
    if (item !== undefined && peer !== undefined) peer.process.perform(() => peer.take(item));
  }

  take(item: Item): void {
    if (this.state === "closed") return;
    // What a dead process had not sent never comes.
    const isCut = item.kind === "close" && this.peer?.process.alive === false;
    if (isCut) this.#stopReading();
    if (this.#room !== undefined) {
      this.#behind.push(item);
      return;
    }
    switch (item.kind) {
      case "open":
        if (this.state !== "connecting") return;
        this.state = "open";
        this.listener?.onOpen?.();
        return;
      case "frame":
        this.#read(item.frame);
        return;
      case "close":
        if (this.state !== "closing") this.send({ kind: "close" });
        this.reset("the other side closed the connection");
    }
  }

  /** A section that belongs somewhere is read to there, in two halves that come one after the other; what comes behind it waits. */
  #read(frame: Frame): void {
    const [header, section = Buffer.alloc(0)] = frame;
    const room = section.length === 0 ? undefined : this.listener?.roomFor?.(header!, section.length);
    if (room === undefined) {
      this.#hear(frame);
      return;
    }
    const half = section.length >> 1;
    const { bytes } = room;
    this.#room = room;
    this.process.reading += 1;
    bytes.set(section.subarray(0, half));
    room.came(half);
    this.#whenPassed(() => {
      if (this.#room !== room || this.peer?.process.alive !== true) return;
      bytes.set(section.subarray(half), half);
      room.came(bytes.length);
      this.#room = undefined;
      this.#hear([header!, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)]);
      this.process.reading -= 1;
      room.over();
      for (const item of this.#behind.splice(0)) this.take(item);
    });
  }

  /** Performs something here when what is sent to here now has come. */
  #whenPassed(action: () => void, at = this.#network.arrival(this.host)): void {
    const { world } = this.#network;
    world.at(at, () => {
      const { partitionedUntil } = this.#network.conditionsOf(this.host);
      if (world.now < partitionedUntil) this.#whenPassed(action, partitionedUntil);
      else this.process.perform(action);
    });
  }

  #hear(frame: Frame): void {
    this.#tell(frame);
    this.listener?.onFrame(frame);
  }

  #stopReading(): void {
    if (this.#room !== undefined) this.process.reading -= 1;
    this.#room?.over();
    this.#room = undefined;
    this.#behind = [];
  }

  #tell(frame: Frame): void {
    const { tell } = this.#network.world;
    const line = tell && frameLine(frame);
    if (line !== undefined) tell?.(`${this.host} ${this.process.name === this.host ? "←" : "→"} ${line}`);
  }

  /** Closes in good order: what was sent arrives, and what is still on its way to here is taken. */
  close(): void {
    if (this.state === "connecting") this.terminate();
    if (this.state !== "open") return;
    this.state = "closing";
    this.send({ kind: "close" });
    this.process.after(CLOSE_TIMEOUT, () => this.reset("no answer to the close"));
  }

  terminate(reason = "terminated"): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#stopReading();
    this.send({ kind: "close" });
    this.process.after(0, () => this.#closed(reason));
  }

  /** The operating system says that the connection is gone. */
  reset(reason: string): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#stopReading();
    this.#closed(reason);
  }

  #closed(reason: string): void {
    this.listener?.onClose(reason);
    this.outbox.close();
  }

  /** The process is gone: its kernel closes the connection, unless the machine is gone too. */
  abandon(silently: boolean): void {
    this.state = "closed";
    if (silently) this.isMute = true;
    else this.send({ kind: "close" });
  }
}

export const copyOf = (frame: Frame): Frame => frame.map((fragment) => Buffer.from(fragment));

/** A frame in words; heartbeats are not worth a line. */
function frameLine(frame: Frame): string | undefined {
  const { type, ...rest } = decodeFrame(frame).header as Record<string, unknown>;
  const { work, node, nodes, version, code } = rest;
  const words = [work, version, code, nodes ?? node].filter((word) => word !== undefined);
  return type === "heartbeat" ? undefined : `${String(type)} ${words.map((word) => JSON.stringify(word)).join(" ")}`;
}

/** Fails where more waits than one work can need; its process knows how many vectors it has not sent yet. */
class WatchedOutbox extends Outbox {
  readonly #process: SimulatedProcess;
  #waiting = 0;
  #isClosed = false;

  constructor(process: SimulatedProcess, write: WriteFrame) {
    super(write);
    this.#process = process;
  }

  override sendBulk(frames: Iterable<Frame>, about: string, over = (): void => {}): void {
    this.#wait(1);
    if (this.#waiting > MOST_WAITING) throw new Error(`frames of ${this.#waiting} vectors wait in one outbox`);
    super.sendBulk(frames, about, () => {
      if (!this.#isClosed) this.#wait(-1);
      over();
    });
  }

  override close(): void {
    if (!this.#isClosed) this.#wait(-this.#waiting);
    this.#isClosed = true;
    super.close();
  }

  #wait(vectors: number): void {
    this.#waiting += vectors;
    this.#process.sending += vectors;
  }
}
