/** What this process has open, as Linux tells. */
import { readdirSync, readlinkSync } from "node:fs";

/** Where the descriptors lead to whose path holds one of these texts. A file without a name is called as it was, "(deleted)". */
export const openFiles = (...texts: readonly string[]): string[] =>
  readdirSync("/proc/self/fd").flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`);
      return texts.some((text) => path.includes(text)) ? [path] : [];
    } catch {
      // The folder itself was read with it.
      return [];
    }
  });

/** How what is read of data is called that has no room in memory, and is in no file that has its samples as they are. */
export const SPILLED = `lockstep-data-${process.pid}-`;
