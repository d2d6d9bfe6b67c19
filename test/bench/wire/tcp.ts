/**
 * Raw TCP sockets on loopback, without frames or checks: the floor. Once as Node's sockets are read by most, in chunks that
 * are copied into place, and once by `onread`, straight into place, which Node offers only on the side that connects: then
 * there are two connections with each peer, one for each direction.
 */
import { once } from "node:events";
import { connect as connectSocket, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { allocate, Arrivals } from "./path.ts";
import type { WirePath } from "./path.ts";

const options = { host: "127.0.0.1", noDelay: true } as const;

async function listen(onSocket: (socket: Socket) => void): Promise<{ server: Server; address: string }> {
  const server = createServer(options, (socket) => onSocket(socket.setNoDelay(true))).listen(0, options.host);
  await once(server, "listening");
  return { server, address: `${(server.address() as AddressInfo).port}` };
}

/** Where the next bytes of an endless row of vectors belong. */
class Filling {
  readonly #target: Uint8Array;
  readonly #onFull: () => void;
  #position = 0;

  constructor(target: Uint8Array, onFull: () => void) {
    this.#target = target;
    this.#onFull = onFull;
  }

  get rest(): Uint8Array {
    return this.#target.subarray(this.#position);
  }

  took(bytes: number): void {
    this.#position = (this.#position + bytes) % this.#target.length;
    if (this.#position === 0) this.#onFull();
  }
}

function readByCopy(socket: Socket, target: Uint8Array, onFull: () => void): void {
  const filling = new Filling(target, onFull);
  socket.on("data", (chunk: Buffer) => {
    filling.rest.set(chunk);
    filling.took(chunk.length);
  });
}

/** A connection that is only read from. */
async function readInPlace(port: string, target: Uint8Array, onFull: () => void): Promise<void> {
  const filling = new Filling(target, onFull);
  const onread = {
    buffer: () => filling.rest,
    callback(bytes: number) {
      filling.took(bytes);
      return true;
    },
  };
  await once(connectSocket({ ...options, port: Number(port), onread }), "connect");
}

/** A parent's server, its peers' sockets once all are there, and its vectors. */
async function openServer(bytes: number, peers: number, onSocket: (socket: Socket, index: number) => void) {
  const sockets: Socket[] = [];
  const accepted = new Arrivals();
  const { server, address } = await listen((socket) => {
    onSocket(socket, sockets.push(socket) - 1);
    accepted.arrived();
  });
  const allAccepted = accepted.expect(peers);
  const arrivals = new Arrivals();
  const parameters = allocate(bytes);
  return {
    parameters,
    gradients: Array.from({ length: peers }, () => allocate(bytes)),
    addresses: Array.from({ length: peers }, () => address),
    arrived: () => arrivals.arrived(),
    async exchange() {
      await allAccepted;
      const all = arrivals.expect(peers);
      for (const socket of sockets) socket.write(parameters);
      await all;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

export const tcpCopied: WirePath = {
  name: "TCP, read in chunks and copied",
  async open(bytes, peers) {
    const server = await openServer(bytes, peers, (socket, index) =>
      readByCopy(socket, server.gradients[index]!, server.arrived),
    );
    return { ...server, add: async () => {} };
  },
  async join(address, bytes, onParameters) {
    const [parameters, gradients] = [allocate(bytes), allocate(bytes)];
    const socket = connectSocket({ ...options, port: Number(address) });
    readByCopy(socket, parameters, () => {
      onParameters(parameters, gradients);
      socket.write(gradients);
    });
    await once(socket, "connect");
    return "";
  },
};

export const tcpInPlace: WirePath = {
  name: "TCP, read in place",
  async open(bytes, peers) {
    const server = await openServer(bytes, peers, () => {});
    let added = 0;
    return { ...server, add: (peer) => readInPlace(peer, server.gradients[added++]!, server.arrived) };
  },
  async join(address, bytes, onParameters) {
    const [parameters, gradients] = [allocate(bytes), allocate(bytes)];
    const toParent = Promise.withResolvers<Socket>();
    const own = await listen(toParent.resolve);
    await readInPlace(address, parameters, () => {
      onParameters(parameters, gradients);
      void toParent.promise.then((socket) => socket.write(gradients));
    });
    return own.address;
  },
};
