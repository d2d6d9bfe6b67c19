/**
 * Tasks under way whose sums are taken bucket by bucket. A thread tells of a bucket on another way than of the task's end, so it
 * may be heard when the task is over and its buffer is another's: its ticket says which it is.
 */
import type { PendingTask } from "./queue.ts";
import type { Progress } from "./task.ts";

export interface Ticket {
  readonly number: number;
  readonly pending: PendingTask;
  /** Where the sum goes. */
  readonly buffer: number;
  /** From this byte on it has been taken. */
  until: number;
}

export class Tickets {
  readonly #open = new Map<number, Ticket>();
  #issued = 0;

  /** @param bytes of the whole sum */
  issue(pending: PendingTask, buffer: number, bytes: number): Ticket {
    const ticket = { number: (this.#issued += 1), pending, buffer, until: bytes };
    this.#open.set(ticket.number, ticket);
    return ticket;
  }

  /** The task is over. */
  close({ number }: Ticket): void {
    this.#open.delete(number);
  }

  /** What can be taken now: from where, up to where, of which task; undefined if nothing can, or nobody wants it. */
  take({ ticket: number, from }: Progress): (Readonly<Ticket> & { readonly from: number }) | undefined {
    const ticket = this.#open.get(number);
    if (ticket === undefined || ticket.pending.work.forgotten || from >= ticket.until) return undefined;
    const taken = { ...ticket, from };
    ticket.until = from;
    return taken;
  }
}
