/**
 * Keeps web pages of other sites from talking to a coordinator through the browser of someone who can reach it. Only
 * browsers send an Origin; workers have none.
 */
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";

/**
 * Whether a request comes from a page that this coordinator did not serve. A page is its own when origin and host are the
 * same and the name is no stranger's: any site can let its own name point to this machine's address.
 * @param listensAt the host that the coordinator was told to listen at
 */
export function isForeignOrigin(headers: IncomingHttpHeaders, listensAt: string): boolean {
  if (headers.origin === undefined) return false;
  return isOtherSite(headers) || !isOwnName(headers, listensAt);
}

/** Whether a page of another site than the one that is asked sends the request. */
export function isOtherSite({ origin, host }: IncomingHttpHeaders): boolean {
  if (origin === undefined) return false;
  const page = URL.canParse(origin) ? new URL(origin) : undefined;
  return page === undefined || host === undefined || page.host !== host.toLowerCase();
}

/** Whether the name that a request is made to can be no stranger's: an address, localhost, or the one that was listened at. */
export function isOwnName({ host }: IncomingHttpHeaders, listensAt: string): boolean {
  const page = URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : undefined;
  if (host === undefined || page === undefined) return false;
  const name = page.hostname.replace(/^\[|\]$/g, "");
  return isIP(name) !== 0 || name === "localhost" || name === listensAt.toLowerCase();
}
