/** The addresses that coordinators print and workers are given. */
import { LockstepError } from "./errors.ts";

/** The address of a coordinator, checked. Throws ADDRESS_INVALID. */
export function coordinatorAddress(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["ws:", "wss:"].includes(url.protocol) || url.hostname === "") {
    throw new LockstepError(
      "ADDRESS_INVALID",
      `"${text}" is no coordinator's address`,
      "give it as ws://HOST:PORT or wss://HOST:PORT, as the coordinator prints it",
    );
  }
  return url;
}
