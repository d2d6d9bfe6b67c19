/**
 * What a process says as it goes, on its standard output: sentences for people, or one JSON object a line for those who collect
 * the logs of many (by pino: time, level, name of the process, the event's own fields, and the sentence as `msg`). The flags --log
 * and --log-level choose, then the variables LOCKSTEP_LOG and LOCKSTEP_LOG_LEVEL. No field ever holds a token or a key.
 */
import type { Logger } from "pino";
import { LockstepError } from "./errors.ts";

const formats = ["pretty", "json"] as const;
/** What is said of each: debug every step, info what happens, warn what goes wrong. */
const thresholds = ["debug", "info", "warn"] as const;
const levels = [...thresholds, "error", "fatal"] as const;

export type LogFormat = (typeof formats)[number];
export type LogLevel = (typeof levels)[number];

export interface LogSettings {
  readonly format: LogFormat;
  /** The lowest level that is said. */
  readonly level: (typeof thresholds)[number];
}

export interface LogFlags {
  readonly log?: string | undefined;
  readonly logLevel?: string | undefined;
}

export interface Log {
  /** @param fields what the sentence says, for machines */
  say: (level: LogLevel, sentence: string, fields?: object) => void;
  /** Says which error ends the process: in sentences on the standard error. */
  end: (error: unknown) => void;
}

interface Output {
  write(text: string): unknown;
}

/**
 * Flags first, then the environment, then `otherwise`. Throws CONFIG_INVALID.
 * @param otherwise the format where nobody chose one
 */
export function logSettings(flags: LogFlags, environment: NodeJS.ProcessEnv, otherwise: LogFormat): LogSettings {
  const { LOCKSTEP_LOG, LOCKSTEP_LOG_LEVEL } = environment;
  return {
    format:
      oneOf(formats, "--log", flags.log) ?? oneOf(formats, "the variable LOCKSTEP_LOG", LOCKSTEP_LOG) ?? otherwise,
    level:
      oneOf(thresholds, "--log-level", flags.logLevel) ??
      oneOf(thresholds, "the variable LOCKSTEP_LOG_LEVEL", LOCKSTEP_LOG_LEVEL) ??
      "info",
  };
}

/** An empty text is as none: what docker-compose makes of a variable that is not set. */
function oneOf<Value extends string>(values: readonly Value[], place: string, text: string | undefined) {
  if (text === undefined || text === "") return undefined;
  const found = values.find((value) => value === text);
  if (found !== undefined) return found;
  const expected = new Intl.ListFormat("en-GB", { type: "disjunction" }).format(values);
  throw new LockstepError("CONFIG_INVALID", `${place}: found ${text}, expected ${expected}`);
}

/** Whether what is of this level is said where `lowest` is the lowest that is. */
export const isSaid = (level: LogLevel, lowest: LogSettings["level"]): boolean =>
  levels.indexOf(level) >= levels.indexOf(lowest);

/** The log of the process `name`. pino is loaded only where it writes. */
export async function openLog(
  { format, level }: LogSettings,
  name: string,
  { out, err }: { readonly out: Output; readonly err: Output },
  /** Stands before each sentence where people read it. */
  prefix = "",
): Promise<Log> {
  if (format === "json") return jsonLog(await pinoTo(out, name, level));
  return {
    say: (of, sentence) => void (isSaid(of, level) && out.write(`${prefix}${sentence}\n`)),
    end: (error) => void err.write(errorText(error)),
  };
}

const jsonLog = (logger: Logger): Log => ({
  say: (level, sentence, fields = {}) => logger[level](fields, sentence),
  end: (error) => {
    if (error instanceof LockstepError) {
      const { code, message, hint } = error;
      logger.fatal({ type: "failed", code, message, hint }, `${message} [${code}]`);
    } else logger.fatal({ type: "failed", err: error }, `${String(error)}. ${DEFECT}`);
  },
});

async function pinoTo(out: Output, name: string, level: LogLevel): Promise<Logger> {
  const { pino } = await import("pino");
  const formatters = { level: (label: string) => ({ level: label }) };
  return pino({ base: { name }, level, formatters, timestamp: pino.stdTimeFunctions.isoTime }, out);
}

const DEFECT = "This is a defect of Lockstep, not of what you did: please report it with its stack";

/** A person's mistake: one message, the code, what to do, no stack. Anything else is a defect of Lockstep and keeps its stack. */
export function errorText(error: unknown): string {
  if (error instanceof LockstepError)
    return `error: ${error.message} [${error.code}]\n${error.hint && `  what to do: ${error.hint}\n`}`;
  return `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n${DEFECT}\n`;
}
