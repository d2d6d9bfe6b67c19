/** Everything over WebSockets, as between processes of one host: segments with checksums, through outbox and assembly. */
import { runId, stepNumber } from "../../../shared/ids.ts";
import { Assembly } from "../../../shared/protocol/assembly.ts";
import { encodeFrame, extentsBackFrom, extentsUntil, segmentOf } from "../../../shared/protocol/codec.ts";
import type { Frame } from "../../../shared/protocol/codec.ts";
import type { CoordinatorMessage, Segment, WorkerMessage } from "../../../shared/protocol/messages.ts";
import type { Outbox } from "../../../shared/protocol/outbox.ts";
import { Outgoing } from "../../../coordinator/exchange/outgoing.ts";
import { acceptPeers, joinParent } from "./connections.ts";
import { allocateVector, Arrivals } from "./path.ts";
import type { WirePath } from "./path.ts";

const run = runId("bench");

export const websocket: WirePath = {
  name: "Lockstep over WebSockets",
  async open(bytes, peers) {
    const parameters = allocateVector(bytes);
    const gradients = Array.from({ length: peers }, () => allocateVector(bytes));
    const arrivals = new Arrivals();
    const outgoing = new Outgoing();
    let assemblies: Assembly[] = [];
    let version = 0;
    const segmentIn = (message: WorkerMessage): Segment => {
      if (message.type !== "partial") throw new Error(`a ${message.type} came instead of gradients`);
      return message.segment;
    };
    const connections = await acceptPeers(
      bytes,
      peers,
      (message, section, index) => {
        if (assemblies[index]!.take(segmentIn(message), section) === "complete") arrivals.arrived();
      },
      (message, length, index) => assemblies[index]!.roomFor(segmentIn(message), length),
    );
    return {
      parameters: parameters.bytes,
      gradients: gradients.map((gradient) => gradient.bytes),
      addresses: gradients.map(() => connections.url),
      add: async () => {},
      async exchange() {
        const outboxes = await connections.outboxes;
        version += 1;
        assemblies = gradients.map((target) => new Assembly(target));
        const all = arrivals.expect(peers);
        outgoing.expire(version);
        for (const outbox of outboxes) {
          const { frames, over } = outgoing.lend(
            stepNumber(version),
            parameters,
            undefined,
            extentsUntil(bytes, false),
          );
          outbox.sendBulk(frames, "parameters", over);
        }
        await all;
      },
      close: () => connections.close(),
    };
  },
  async join(address, bytes, onParameters) {
    const [parameters, gradients] = [allocateVector(bytes), allocateVector(bytes)];
    let version = 0;
    let assembly = new Assembly(parameters);
    /** The segment that comes, and what it is part of. */
    const arriving = (message: CoordinatorMessage): { segment: Segment; whole: Assembly } => {
      if (message.type !== "parameters") throw new Error(`a ${message.type} came instead of parameters`);
      if (message.version !== version) {
        version = message.version;
        assembly = new Assembly(parameters);
      }
      return { segment: message.segment, whole: assembly };
    };
    const take = (message: CoordinatorMessage, section: Uint8Array, outbox: Outbox): void => {
      const { segment: taken, whole } = arriving(message);
      if (whole.take(taken, section) !== "complete") return;
      onParameters(parameters.bytes, gradients.bytes);
      const work = { kind: "train", step: stepNumber(version) } as const;
      const common = { type: "partial", run, work, node: [0, 1], computeMicroseconds: 0 } as const;
      function* frames(): Generator<Frame> {
        for (const extent of extentsBackFrom(bytes, false)) {
          const { segment, section: part } = segmentOf(gradients, extent, false);
          yield encodeFrame({ ...common, segment }, part);
        }
      }
      outbox.sendBulk(frames(), "gradients");
    };
    await joinParent(address, take, (message, length) => {
      const { segment, whole } = arriving(message);
      return whole.roomFor(segment, length);
    });
    return "";
  },
};
