/** Numbers as people read them. */

export const count = (value: number): string => Math.round(value).toLocaleString("en-US");

export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;

export const loss = (value: number): string => value.toPrecision(4);

/** 8.2 s, 1 min 20 s, 2 h 5 min */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
  return `${(value / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

export const plural = (number: number, thing: string): string => `${count(number)} ${thing}${number === 1 ? "" : "s"}`;

/** A word as a shell takes it. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
