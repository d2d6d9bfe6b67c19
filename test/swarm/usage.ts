/** What processes use of the machine, read from /proc (Linux). */
import { readdirSync, readFileSync } from "node:fs";

/** The unit of the times in /proc/PID/stat: USER_HZ, a hundredth of a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  /** Memory that is resident, in bytes. */
  readonly resident: number;
  /** As much of that is shared with other processes: counted in each of them. */
  readonly shared: number;
  /** Open files and sockets. */
  readonly descriptors: number;
  /** Time on processors since the start, in seconds. */
  readonly processor: number;
}

/** Throws where there is no such process. */
export function usageOf(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the program's name in parentheses, which may hold anything.
  const [, , , , , , , , , , , user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const bytesOf = (field: string): number =>
    1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)![1]);
  return {
    resident: bytesOf("VmRSS"),
    shared: bytesOf("RssShmem"),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    processor: (Number(user) + Number(system)) / TICKS_PER_SECOND,
  };
}
