/** Says to a coordinator of this host, from the thread that computed it, that a partial is in shared memory. */
import { encodeFrame } from "../protocol/codec.ts";
import { LineWriter } from "../protocol/line.ts";
import type { PlacedPartial } from "../protocol/messages.ts";
import type { Announcement } from "./task.ts";

export class Announcer {
  #line: LineWriter | undefined;
  /** The line that was opened last, whether it could be or not. */
  #id: string | undefined;

  close(): void {
    this.#line?.close();
    this.#line = undefined;
    this.#id = undefined;
  }

  /** Whether it is said; else the main thread has to. */
  announce(
    { line, position, run, work, node }: Announcement,
    measured: Pick<PlacedPartial, "checksum" | "computeMicroseconds" | "timing">,
  ): boolean {
    if (this.#id !== line.id) {
      this.close();
      this.#line = LineWriter.open(line);
      this.#id = line.id;
    }
    const message = { type: "placed-partial", run, work, node, position, ...measured } as const;
    return this.#line?.send(encodeFrame(message)[0]!) ?? false;
  }
}
