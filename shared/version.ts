/** Lockstep's version, from the package.json that lies beside this folder or, in the built package, one folder higher. */
import { existsSync, readFileSync } from "node:fs";

const places = [new URL("../package.json", import.meta.url), new URL("../../package.json", import.meta.url)];
const manifest: unknown = JSON.parse(
  readFileSync(
    places.find((place) => existsSync(place))!,
    "utf8",
  ),
);

export const version = String((manifest as { version: unknown }).version);
