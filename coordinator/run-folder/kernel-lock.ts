/**
 * Whether whoever holds a file is still there, asked of the kernel (Linux, flock(2)): a lock is gone with the process that holds it, also
 * one in another container, whose process id means nothing here. A kernel answers for its own processes alone, so the file
 * says which kernel it was: the id that Linux draws at every boot.
 */
import { open, readFile, rm } from "node:fs/promises";

const SHARED = 1;
const EXCLUSIVE = 2;
const NOT_WAITING = 4;

type Flock = (file: number, operation: number) => number;

let loaded: Promise<{ readonly flock: Flock; readonly boot: string } | undefined> | undefined;

async function load(): Promise<{ flock: Flock; boot: string } | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    const { default: koffi } = await import("koffi");
    const flock = koffi.load(null).func("int flock(int file, int operation)") as Flock;
    return { flock, boot: (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim() };
  } catch {
    // The library has no build for this processor, or there is no /proc.
    return undefined;
  }
}

/**
 * Creates a file, or with `r+` takes an existing one, and holds it until `release` or the end of this process. Rejects with the
 * system's error, as where there is a file. Where the system, or the disk, has no such locks, the file stays empty.
 */
export async function holdFile(path: string, flags: "wx" | "r+"): Promise<{ release: () => Promise<void> }> {
  const kernel = await (loaded ??= load());
  const written = await open(path, flags);
  try {
    // What is held for long is open for reading: else the disk could not be made read-only.
    const held = await open(path, "r");
    // The boot's id last: whoever reads it finds the lock. On a full disk it is missing, and the file's name must do.
    if (kernel !== undefined && kernel.flock(held.fd, EXCLUSIVE | NOT_WAITING) === 0)
      await written.writeFile(`${kernel.boot}\n`).catch(() => {});
    return { release: () => held.close() };
  } catch (error) {
    // Nobody holds it, and by its name it would be this process's.
    await rm(path, { force: true }).catch(() => {});
    throw error;
  } finally {
    await written.close();
  }
}

/** Whether the file is held by a process of this kernel; undefined where this kernel does not know. */
export async function isHeld(path: string): Promise<boolean | undefined> {
  const kernel = await (loaded ??= load());
  if (kernel === undefined) return undefined;
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const said = await file.readFile("utf8").catch(() => undefined);
    if (said?.trim() !== kernel.boot) return undefined;
    // Shared, so that two who ask do not take each other for the holder.
    return kernel.flock(file.fd, SHARED | NOT_WAITING) !== 0;
  } finally {
    await file.close();
  }
}
