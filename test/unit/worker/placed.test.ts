/** The production worker runtime leaves sums in memory that it shares with a coordinator, which reads them later. Linux only, as the memory itself. */
import { expect, it, onTestFinished } from "vitest";
import { SharedMemory, sharedBytes } from "../../../coordinator/exchange/shared-memory.ts";
import { signalOf } from "../../../shared/gradient/arrivals.ts";
import { vectorBytes } from "../../../shared/gradient/partial.ts";
import { workerId } from "../../../shared/ids.ts";
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { blockwiseChecksum } from "../../../shared/memory/blocks.ts";
import { HostFile, PLACED_PARTIALS, regionIn, roomFor, wholePages } from "../../../shared/memory/host-memory.ts";
import { Signal } from "../../../shared/memory/signal.ts";
import { HOST_PAGE } from "../../../shared/system.ts";
import { decodeFrame, encodeFrame } from "../../../shared/protocol/codec.ts";
import type { Assignment, PlacedPartial, WorkerMessage } from "../../../shared/protocol/messages.ts";
import { checkWorkerMessage } from "../../../shared/protocol/validate.ts";
import { assignmentOf } from "../../fuzz/coordinator-frames.ts";
import { job } from "../../simulation/job.ts";
import { joinedWorker, settle } from "../../support/joined-worker.ts";

interface Bench {
  /** Says that the parameters of a step are there, and has the worker compute one node of it. */
  readonly compute: (step: number, node: Assignment["nodes"][number]) => Promise<void>;
  /** What the worker has said since it was asked last, whether over its socket or over its line. */
  readonly takeSaid: () => WorkerMessage[];
  /** Whether a sum is still as the worker has said that it is. */
  readonly isIntact: (partial: PlacedPartial) => boolean;
}

/** A coordinator's memory, and a worker that shares it. */
async function bench(): Promise<Bench> {
  const partialBytes = vectorBytes(job.layouts.partial.train);
  const block = wholePages(vectorBytes(job.layouts.parameters));
  const parameters = HostFile.create(2 * block + HOST_PAGE)!;
  const room = 2 ** 22;
  const arena = new Arena(sharedBytes(partialBytes, room) + roomFor(HOST_PAGE));
  const kernels = instantiateKernels(arena.memory);
  const page = regionIn(arena, HOST_PAGE);
  parameters.mapOver(arena, page, 2 * block, HOST_PAGE, "write");
  const arrivals = new Signal(arena.memory, page);
  const memory = new SharedMemory(arena, parameters, partialBytes, room);
  let said: WorkerMessage[] = [];
  const worker = workerId("w");
  const offer = memory.offer(worker, {
    onFrame: (frame) => void said.push(checkWorkerMessage(decodeFrame(frame).header)),
    onViolation: (error) => {
      throw error;
    },
  })!;
  onTestFinished(() => {
    memory.forget(worker);
    parameters.close();
  });
  const listener = await joinedWorker({ packs: false, memory: offer }, (message) => said.push(message));
  return {
    compute: async (step, node) => {
      arrivals.set(signalOf(step));
      listener.onFrame(encodeFrame({ ...assignmentOf("train", step), nodes: [node] }));
      await settle();
    },
    takeSaid: () => {
      const all = said;
      said = [];
      return all;
    },
    isIntact: ({ position, checksum }) =>
      blockwiseChecksum(kernels, memory.placeOf(worker, position)!, partialBytes) === checksum,
  };
}

it.skipIf(process.platform !== "linux")(
  "keeps what it has left there as it is until the step is over, and takes the place for later steps",
  async () => {
    const { compute, takeSaid, isIntact } = await bench();
    expect(takeSaid()).toContainEqual(expect.objectContaining({ type: "ready", sharesMemory: true }));
    for (let step = 0; step < PLACED_PARTIALS; step++) {
      await compute(step, [0, 2]);
      // As when another worker is lost.
      await compute(step, [2, 4]);
      const sums = takeSaid().filter((message) => message.type === "partial" || message.type === "placed-partial");
      expect(sums.map(({ type, node, work }) => ({ type, node, step: work.step }))).toEqual([
        { type: "placed-partial", node: [0, 2], step },
        { type: "placed-partial", node: [2, 4], step },
      ]);
      expect(sums.map((sum) => isIntact(sum as PlacedPartial))).toEqual([true, true]);
    }
  },
);
