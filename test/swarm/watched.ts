/** Processes that say on request how much memory they hold on to. */
import { asEvents, Lockstep } from "../support/lockstep-process.ts";

const collect = new URL("./collect.ts", import.meta.url).href;

/** What makes a process such a one. */
export const watchedEnvironment = { NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import=${collect}` };

/** Starts `lockstep coordinator CONFIG`. */
export const startCoordinator = (config: string): Lockstep =>
  new Lockstep("coordinator/cli/main.ts", ["coordinator", config, ...asEvents], undefined, watchedEnvironment);

/** Memory in use once all garbage is collected, in bytes; to be asked once at a time, of one that is listening. */
export function measure({ process }: Pick<Lockstep, "process">): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = "";
    const onData = (text: Buffer): void => {
      said += text.toString();
      const bytes = /^memory in use: (\d+)$/m.exec(said)?.[1];
      if (bytes === undefined) return;
      process.stderr!.off("data", onData);
      process.off("exit", onExit);
      resolve(Number(bytes));
    };
    const onExit = (): void => reject(new Error("the process ended while it was measured"));
    process.stderr!.on("data", onData);
    process.on("exit", onExit);
    process.kill("SIGUSR2");
  });
}
