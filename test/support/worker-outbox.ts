/** An outbox of a worker whose frames a test reads as a coordinator does; all are flushed at once. */
import { decodeFrame } from "../../shared/protocol/codec.ts";
import type { WorkerMessage } from "../../shared/protocol/messages.ts";
import { Outbox } from "../../shared/protocol/outbox.ts";
import { checkWorkerMessage } from "../../shared/protocol/validate.ts";

export const outboxTo = (hear: (message: WorkerMessage, section: Uint8Array) => void): Outbox =>
  new Outbox((frame, flushed) => {
    const { header, section } = decodeFrame(frame);
    hear(checkWorkerMessage(header), section);
    flushed();
  });
