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
export function isForeignOrigin({ origin, host }: IncomingHttpHeaders, listensAt: string): boolean {
  if (origin === undefined) return false;
  const page = URL.canParse(origin) ? new URL(origin) : undefined;
  if (page === undefined || host === undefined || page.host !== host.toLowerCase()) return true;
  const name = page.hostname.replace(/^\[|\]$/g, "");
  return isIP(name) === 0 && name !== "localhost" && name !== listensAt.toLowerCase();
}
