/**
 * A process that holds light workers and does as it is told over its IPC channel; it ends with that channel. What a worker
 * that ended by itself ended with goes back over it.
 */
import { LockstepError, unreachable } from "../../shared/errors.ts";
import { tuneGarbageCollection } from "../../shared/v8.ts";
import { coordinatorAddress } from "../../shared/address.ts";
import { memoryInUse } from "../fuzz/memory.ts";
import { LightWorker } from "./light-worker.ts";

export type HostCommand =
  /** `kill`: without a word to the coordinator, whose address is `url`. */
  | { type: "start" | "leave" | "kill"; url: string; names: readonly string[] }
  /** Collect all garbage and say how much memory is in use. */
  | { type: "measure" };

export type HostReply =
  /** A worker is not there any more, and nobody killed it; `error`: what it would have shown, if it did not end well. */
  { type: "ended"; name: string; error: string | undefined } | { type: "measured"; bytes: number };

const workers = new Map<string, LightWorker>();

const reply = (message: HostReply): void => void (process.connected && process.send!(message));

function start(address: URL, name: string): void {
  const worker = new LightWorker(address, name);
  workers.set(name, worker);
  const ended = (error: string | undefined): void => {
    workers.delete(name);
    reply({ type: "ended", name, error });
  };
  worker.finished.then(
    () => ended(undefined),
    (error: unknown) => ended(error instanceof LockstepError ? `${error.code}: ${error.message}` : String(error)),
  );
}

function perform(command: HostCommand): void {
  switch (command.type) {
    case "start":
      for (const name of command.names) start(coordinatorAddress(command.url), name);
      return;
    case "leave":
      for (const name of command.names) workers.get(name)?.leave();
      return;
    case "kill":
      for (const name of command.names) {
        workers.get(name)?.kill();
        workers.delete(name);
      }
      return;
    case "measure":
      reply({ type: "measured", bytes: memoryInUse() });
      return;
    default:
      unreachable(command);
  }
}

tuneGarbageCollection();
process.on("message", perform);
process.on("disconnect", () => process.exit());
