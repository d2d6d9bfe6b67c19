/**
 * `node peer.ts PATH ADDRESS BYTES`, forked: one peer of an exchange. Over its IPC channel it says where it joined from, and
 * how much processor time it has used whenever it is asked; it ends with that channel.
 */
import { compileSooner, tuneGarbageCollection } from "../../../shared/v8.ts";
import { checkStamp, paths, stamp } from "./paths.ts";
import type { PathName } from "./paths.ts";

// As every worker does when its steps begin.
tuneGarbageCollection();
compileSooner({ well: false });
const [, , path, address, bytes] = process.argv;
let exchange = 0;

process.on("disconnect", () => process.exit(0));
process.on("message", () => process.send!(process.cpuUsage()));
const own = await paths[path as PathName].join(address!, Number(bytes), (parameters, gradients) => {
  exchange += 1;
  checkStamp(parameters, exchange);
  stamp(gradients, exchange);
});
process.send!(own);
