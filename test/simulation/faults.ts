/** Makes the faults of a schedule happen. */
import { unreachable } from "../../shared/errors.ts";
import type { Cluster } from "./cluster.ts";
import type { Fault, Schedule } from "./schedule.ts";

/** How often a fault happens to a frame while it lasts. */
const SHARE = 0.4;
/** Milliseconds; evaluations take longer. */
const LOOKS_EVERY = 20;

/** Each at its time, unless the run is over by then. */
export function causeAll(cluster: Cluster, { faults }: Schedule): void {
  const { world } = cluster;
  for (const fault of faults) {
    world.at(fault.at, () => {
      if (cluster.result !== undefined) return;
      const { at: _, ...what } = fault;
      world.tell?.(`FAULT ${JSON.stringify(what)}`);
      cause(cluster, fault);
    });
  }
}

function cause(cluster: Cluster, fault: Fault): void {
  const { world, network, disk } = cluster;
  switch (fault.kind) {
    case "kill":
      cluster.killWorker(fault.who, fault.silently, fault.back);
      return;
    case "kill coordinator":
      cluster.killCoordinator(fault.silently, fault.back);
      return;
    case "stop":
      cluster.stop(fault.back);
      return;
    case "abandon":
      abandon(cluster, fault.back);
      return;
    case "hold":
      cluster.command("pause");
      world.after(fault.for, () => cluster.command("unpause"));
      return;
    case "save":
      cluster.command("save");
      return;
    case "leave":
      cluster.leave(fault.who, fault.back);
      return;
    case "pause":
      cluster.processOf(fault.who)?.pause(fault.for);
      return;
    case "jump":
      cluster.processOf(fault.who)?.jump(fault.by);
      return;
    case "drop": {
      const ends = network.connectionOf(fault.who);
      for (const end of ends === undefined ? [] : [ends.worker, ends.coordinator]) {
        world.at(network.arrival(fault.who), () => end.process.perform(() => end.reset("connection reset")));
      }
      return;
    }
    case "half-open": {
      const ends = network.connectionOf(fault.who);
      if (ends === undefined) return;
      if (fault.mute !== "coordinator") ends.worker.isMute = true;
      if (fault.mute !== "worker") ends.coordinator.isMute = true;
      return;
    }
    case "partition":
      for (const name of fault.who) network.conditionsOf(name).partitionedUntil = world.now + fault.for;
      return;
    case "slow":
      cluster.speedOf(fault.who).slowUntil = world.now + fault.for;
      return;
    case "slow link":
      network.conditionsOf(fault.who).slowUntil = world.now + fault.for;
      return;
    case "duplicate":
    case "damage": {
      const conditions = network.conditionsOf(fault.who);
      const how = fault.kind === "duplicate" ? "duplicated" : "damaged";
      conditions[how] = SHARE;
      world.after(fault.for, () => (conditions[how] = 0));
      return;
    }
    case "disk":
      disk.fault = fault.how;
      world.after(fault.for, () => (disk.fault = undefined));
      return;
    default:
      unreachable(fault);
  }
}

/** Waits until an evaluation is open. */
function abandon(cluster: Cluster, back: number): void {
  if (cluster.result !== undefined) return;
  if (cluster.isEvaluating) {
    for (const name of cluster.workerNames) cluster.killWorker(name, false, back);
    cluster.stop(back);
  } else cluster.world.after(LOOKS_EVERY, () => abandon(cluster, back));
}
