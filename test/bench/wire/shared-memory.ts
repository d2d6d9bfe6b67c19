/**
 * Memory that processes of one host share, as with workers of the coordinator's host: parameters are read where the parent
 * has them, and a signal in that memory says which are there; gradients stay where
 * they are, both sides take their checksum, and a line says that they are there.
 */
import { sharedBytes, SharedMemory } from "../../../coordinator/exchange/shared-memory.ts";
import { Announcer } from "../../../shared/compute/announcer.ts";
import { ComputeMemory } from "../../../shared/compute/memory.ts";
import { NOTHING, signalOf } from "../../../shared/gradient/arrivals.ts";
import { partialLayouts } from "../../../shared/gradient/partial.ts";
import type { PartialLayouts } from "../../../shared/gradient/partial.ts";
import { runId, stepNumber, workerId } from "../../../shared/ids.ts";
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { inspect } from "../../../shared/memory/blocks.ts";
import { HostFile, regionIn, roomFor, wholePages } from "../../../shared/memory/host-memory.ts";
import { Signal } from "../../../shared/memory/signal.ts";
import { HOST_PAGE } from "../../../shared/system.ts";
import { decodeFrame } from "../../../shared/protocol/codec.ts";
import type { Frame } from "../../../shared/protocol/codec.ts";
import type { MemoryOffer } from "../../../shared/protocol/messages.ts";
import { checkWorkerMessage } from "../../../shared/protocol/validate.ts";
import { Arrivals } from "./path.ts";
import type { WirePath } from "./path.ts";

const run = runId("bench");
/** Milliseconds that a peer spins for the next parameters, and then blocks at a time, as a compute thread does. */
const SPIN = 1;
const WAIT = 20;
/** Bytes for the peers' slots. */
const ROOM = 2 ** 30;

/** Gradients without metrics: as many bytes as the parameters. */
const layoutsOf = (bytes: number): PartialLayouts => partialLayouts([{ name: "all", shape: [bytes / 4] }], []);

export const sharedMemory: WirePath = {
  name: "Lockstep through shared memory",
  async open(bytes, peers) {
    const block = wholePages(bytes);
    const arena = new Arena(roomFor(2 * block) + roomFor(HOST_PAGE) + sharedBytes(bytes, ROOM));
    const kernels = instantiateKernels(arena.memory);
    const file = HostFile.create(2 * block + HOST_PAGE);
    if (file === undefined) return undefined;
    const parameters = regionIn(arena, 2 * block);
    file.mapOver(arena, parameters, 0, 2 * block, "write");
    const page = regionIn(arena, HOST_PAGE);
    file.mapOver(arena, page, 2 * block, HOST_PAGE, "write");
    const signal = new Signal(arena.memory, page);
    const memory = new SharedMemory(arena, file, bytes, ROOM);
    // Where they are found.
    const gradients: Uint8Array[] = [];
    const arrivals = new Arrivals();
    const onFrame = (frame: Frame): void => {
      const message = checkWorkerMessage(decodeFrame(frame).header);
      if (message.type !== "placed-partial") throw new Error(`a ${message.type} came instead of gradients`);
      const [index] = message.node;
      const place = memory.placeOf(workerId(`w${index}`), message.position)!;
      const { checksum } = inspect(kernels, place, bytes);
      if (checksum !== message.checksum) throw new Error(`the gradients of peer ${index} are damaged`);
      gradients[index] = arena.bytes(place, bytes);
      arrivals.arrived();
    };
    const onViolation = (error: Error): never => {
      throw error;
    };
    const offers = Array.from({ length: peers }, (_, index) =>
      memory.offer(workerId(`w${index}`), { onFrame, onViolation }),
    );
    let version = 0;
    return {
      // Every other version's block stays as it is: what travels is as much, whichever is read.
      parameters: arena.bytes(parameters, bytes),
      gradients,
      addresses: offers.map((offer, index) => JSON.stringify({ offer, index })),
      add: async () => {},
      async exchange() {
        const all = arrivals.expect(peers);
        // Even versions alone, which are in the first block.
        signal.set(signalOf(version));
        version += 2;
        await all;
      },
      close() {
        for (const index of offers.keys()) memory.forget(workerId(`w${index}`));
        file.close();
      },
    };
  },
  async join(address, bytes, onParameters) {
    const { offer, index } = JSON.parse(address) as { offer: MemoryOffer; index: number };
    const memory = new ComputeMemory(layoutsOf(bytes), 1);
    if (!memory.share(run, offer)) throw new Error(`${offer.parameters.path} is no memory of this host`);
    const [buffer] = memory.acquire("train", 1) as [number];
    const announcer = new Announcer();
    const answer = (version: number): void => {
      onParameters(memory.parametersOf(version), memory.bytesOf("train", buffer));
      const work = { kind: "train", step: stepNumber(version) } as const;
      const place = memory.placeOf("train", buffer)!;
      const announcement = { ...place, work, node: [index, index + 1] } as const;
      const checksum = memory.checksumOf("train", buffer);
      if (!announcer.announce(announcement, { checksum, computeMicroseconds: 0 }))
        throw new Error("the line is closed");
    };
    let seen = NOTHING;
    const look = (): void => {
      const { value } = memory.arrivals;
      if (value === seen) {
        memory.arrivals.spin(seen, SPIN);
        memory.arrivals.wait(seen, WAIT);
      } else {
        seen = value;
        answer(value - signalOf(0));
      }
      setImmediate(look);
    };
    setImmediate(look);
    return "";
  },
};
