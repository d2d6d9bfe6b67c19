/**
 * How much may be asked over HTTP: requests share a thread with the training, so they are rationed whoever sends them. A
 * dashboard asks for a few a second, Prometheus for one in fifteen.
 */
import type { ServerResponse } from "node:http";

const MOST_A_SECOND = 200;
const MOST_AT_ONCE = 64;

export class Ration {
  #open = 0;
  #second = 0;
  #taken = 0;

  /** Whether there is some left for this answer. `now` is in milliseconds. */
  take(response: ServerResponse, now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) this.#taken = 0;
    this.#second = second;
    if (this.#open >= MOST_AT_ONCE || this.#taken >= MOST_A_SECOND) return false;
    this.#taken += 1;
    this.#open += 1;
    response.once("close", () => (this.#open -= 1));
    return true;
  }
}
