/** Files of the test's own process that cannot be written as they should. */
import { open, type FileHandle } from "node:fs/promises";
import { onTestFinished, vi } from "vitest";

/** What all open files have in common. */
export async function filesOf(folder: string): Promise<FileHandle> {
  const file = await open(folder);
  await file.close();
  return Object.getPrototypeOf(file) as FileHandle;
}

/** From now on every file's appending takes half of it and then fails, as on a full disk; `cutting` may fail too. */
export async function fullDisk(folder: string, cutting: "works" | "fails"): Promise<void> {
  const files = await filesOf(folder);
  const fault = (code: string): Error => Object.assign(new Error(code), { code });
  vi.spyOn(files, "appendFile").mockImplementation(async function (this: FileHandle, text) {
    const half = (text as string).slice(0, (text as string).length / 2);
    await this.write(half);
    throw fault("ENOSPC");
  });
  if (cutting === "fails") vi.spyOn(files, "truncate").mockRejectedValue(fault("EIO"));
  onTestFinished(() => void vi.restoreAllMocks());
}
