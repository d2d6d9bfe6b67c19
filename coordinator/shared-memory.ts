/** The memory that the coordinator shares with workers of its host: its parameters, and for each worker slots for partials. */
import { placedBytes } from "../shared/memory/host-memory.ts";
import type { HostFile } from "../shared/memory/host-memory.ts";
import type { WorkerId } from "../shared/ids.ts";
import type { MemoryOffer } from "../shared/protocol/messages.ts";

export class SharedMemory {
  readonly #parameters: HostFile;
  readonly #slotBytes: number;
  readonly #slots = new Map<WorkerId, HostFile>();

  /** @param parameters the file that the parameters are in; @param partialBytes bytes of a training step's partial */
  constructor(parameters: HostFile, partialBytes: number) {
    this.#parameters = parameters;
    this.#slotBytes = placedBytes(partialBytes);
  }

  /** What a worker is offered; undefined when memory is short. */
  offer(worker: WorkerId): MemoryOffer | undefined {
    const slots = this.#parameters.another(this.#slotBytes);
    if (slots === undefined) return undefined;
    this.#slots.set(worker, slots);
    return { parameters: this.#parameters.name, partials: slots.name };
  }

  /** Reads what a worker has left in its slots; whether it was there. */
  read(worker: WorkerId, into: Uint8Array, position: number): boolean {
    return this.#slots.get(worker)?.read(into, position) ?? false;
  }

  /** A worker is gone. */
  forget(worker: WorkerId): void {
    this.#slots.get(worker)?.close();
    this.#slots.delete(worker);
  }
}
