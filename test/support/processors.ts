/** On which processors threads of this machine may run, as Linux lists them. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { operatingSystem } from "../../shared/system.ts";

/** Such as 0-3,8. @param path of a thread or process in /proc; this one if not given */
export const processorsOf = (path = "thread-self"): string =>
  /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync(`/proc/${path}/status`, "utf8"))![1]!;

/** Whether there is a choice of processors, and a way to choose. */
export const canChoose = operatingSystem() !== undefined && availableParallelism() > 1;
