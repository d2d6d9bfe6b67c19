/**
 * Memory that processes of one host share, as with workers of the coordinator's host: parameters are read where the parent
 * has them, gradients are copied once, both sides take their checksum, and the WebSocket is the doorbell.
 */
import { runId, stepNumber } from "../../../shared/ids.ts";
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { HOST_PAGE, HostFile, wholePages } from "../../../shared/memory/host-memory.ts";
import type { HostFileName } from "../../../shared/memory/host-memory.ts";
import { encodeFrame } from "../../../shared/protocol/codec.ts";
import { acceptPeers, joinParent } from "./connections.ts";
import { Arrivals } from "./path.ts";
import type { WirePath } from "./path.ts";

const run = runId("bench");

/** What a peer is told instead of a welcome. */
interface Offer {
  readonly url: string;
  readonly index: number;
  readonly parameters: HostFileName;
  readonly partials: HostFileName;
}

export const sharedMemory: WirePath = {
  name: "Lockstep through shared memory",
  async open(bytes, peers) {
    const block = wholePages(bytes);
    const arena = new Arena(HOST_PAGE + block + peers * (bytes + 64));
    const kernels = instantiateKernels(arena.memory);
    const shared = await HostFile.create(block);
    const slots = Array.from({ length: peers }, () => shared?.another(block)).filter((file) => file !== undefined);
    if (shared === undefined || slots.length < peers) return undefined;
    const parameters = arena.allocate(block, HOST_PAGE);
    shared.mapOver(arena, parameters, 0, block, "write");
    const buffers = slots.map(() => arena.allocate(bytes));
    const gradients = buffers.map((buffer) => arena.bytes(buffer, bytes));
    const arrivals = new Arrivals();
    let step = 0;
    const connections = await acceptPeers(bytes, peers, (message) => {
      if (message.type !== "placed-partial") throw new Error(`a ${message.type} came instead of gradients`);
      const [index] = message.node;
      const isRead = slots[index]!.read(gradients[index]!, message.position);
      if (!isRead || kernels.checksum(buffers[index]!, bytes / 4) !== message.checksum)
        throw new Error(`the gradients of peer ${index} are damaged`);
      arrivals.arrived();
    });
    return {
      parameters: arena.bytes(parameters, bytes),
      gradients,
      addresses: slots.map(({ name }, index) => {
        const offer: Offer = { url: connections.url, index, parameters: shared.name, partials: name };
        return JSON.stringify(offer);
      }),
      add: async () => {},
      async exchange() {
        const outboxes = await connections.outboxes;
        const all = arrivals.expect(peers);
        const work = { kind: "train", step: stepNumber(step++) } as const;
        const assignment = {
          type: "assignment",
          work,
          epoch: 0,
          offset: 0,
          samples: 2 * peers,
          shards: peers,
        } as const;
        for (const outbox of outboxes) outbox.send(encodeFrame({ ...assignment, nodes: [[0, 1]], placed: true }));
        await all;
      },
      close() {
        connections.close();
        for (const file of [shared, ...slots]) file.close();
      },
    };
  },
  async join(address, bytes, onParameters) {
    const { url, index, parameters, partials } = JSON.parse(address) as Offer;
    const block = wholePages(bytes);
    const arena = new Arena(HOST_PAGE + 2 * block);
    const kernels = instantiateKernels(arena.memory);
    const map = async (name: HostFileName, access: "read" | "write"): Promise<number> => {
      const offset = arena.allocate(block, HOST_PAGE);
      const file = await HostFile.open(name, access);
      if (file === undefined) throw new Error(`${name.path} is no memory of this host`);
      file.mapOver(arena, offset, 0, block, access);
      return offset;
    };
    const from = await map(parameters, "read");
    const to = await map(partials, "write");
    await joinParent(url, (message, _section, outbox) => {
      if (message.type !== "assignment") throw new Error(`a ${message.type} came instead of an assignment`);
      onParameters(arena.bytes(from, bytes), arena.bytes(to, bytes));
      const { work } = message;
      const placed = { position: 0, checksum: kernels.checksum(to, bytes / 4) };
      const common = { run, work, node: [index, index + 1], computeMicroseconds: 0 } as const;
      outbox.send(encodeFrame({ type: "placed-partial", ...common, ...placed }));
    });
    return "";
  },
};
