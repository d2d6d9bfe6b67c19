/** A trace file as a viewer reads it: slices by process and thread, in their order. */

interface TraceEvent {
  readonly name: string;
  readonly ph: "M" | "X" | "i";
  readonly ts: number;
  readonly dur: number;
  readonly pid: number;
  readonly tid: number;
  readonly args: { readonly name: string; readonly step: string };
}

export interface Slice {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
  readonly step: string;
}

/** Of a file that may have been cut off anywhere, as viewers read it: what is behind the last whole line is left out. */
function eventsIn(text: string): TraceEvent[] {
  try {
    return JSON.parse(text) as TraceEvent[];
  } catch {
    return JSON.parse(`${text.slice(0, text.lastIndexOf("}},\n") + 2)}]`) as TraceEvent[];
  }
}

/** Slices by `process, thread`. */
export function slicesIn(text: string): Map<string, Slice[]> {
  const names = new Map<number, string>();
  const slices = new Map<string, Slice[]>();
  for (const { ph, name, ts, dur, pid, tid, args } of eventsIn(text)) {
    if (ph === "M") names.set(name === "process_name" ? pid : tid, args.name);
    else if (ph === "X") {
      const lane = `${names.get(pid)}, ${names.get(tid)}`;
      slices.set(lane, [...(slices.get(lane) ?? []), { name, begin: ts, end: ts + dur, step: args.step }]);
    } else throw new Error(`an event of another kind: ${ph}`);
  }
  return slices;
}
