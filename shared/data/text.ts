/**
 * Plain text as tokens: bytes, or pieces that are learned from the training text by byte-pair encoding (Gage 1994; Sennrich et al.
 * 2016). A sample starts at every token where the next one is predicted; where each position is, samples follow one another without
 * overlap, and the last tokens that fill none are left out.
 */
import { createDataset, type Dataset } from "./dataset.ts";
import { bytesOfFile, invalidFile, type Destination } from "./files.ts";
import type { Parts } from "./parts.ts";
import { FeatureSink } from "./sink.ts";
import type { SpecOf } from "./spec.ts";

/** Bytes. The process ends where it would make a list of more numbers. */
const LONGEST_WORD = 100_000_000;

/** Two tokens that are joined to a new one; the first new one is 256. */
type Merge = readonly [left: number, right: number];

/** Throws DATA_MISSING or DATA_INVALID. */
export async function openText(spec: SpecOf<"text">, to: Destination): Promise<Parts> {
  const text = await bytesOfFile(spec.train);
  const merges = spec.vocabulary === undefined ? [] : learnMerges(text, spec.vocabulary - 256, spec.train);
  const part = (path: string, bytes: Uint8Array): Dataset => samplesOf(path, tokensOf(bytes, merges, path), spec, to);
  const parts = {
    train: part(spec.train, text),
    classNames: namesOf(merges, spec.vocabulary ?? 256),
    encoders: {
      text: (bytes: Uint8Array, path: string) => lastTokens(path, tokensOf(bytes, merges, path), spec.length),
    },
  };
  return spec.test === undefined ? parts : { ...parts, test: part(spec.test, await bytesOfFile(spec.test)) };
}

/** The sample of a text's last tokens, so that what is predicted follows it. */
function lastTokens(path: string, tokens: Uint16Array, length: number): Float32Array {
  if (tokens.length < length)
    throw invalidFile(path, `${tokens.length} tokens, a sample has ${length}`, "Give a longer text: its end counts.");
  return Float32Array.from(tokens.subarray(tokens.length - length));
}

/** What each token stands for, in quotes; what is not ASCII, byte by byte. Tokens that were not learned have no name. */
function namesOf(merges: readonly Merge[], vocabulary: number): string[] {
  const pieces = Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(byte));
  for (const [left, right] of merges) pieces.push(`${pieces[left]}${pieces[right]}`);
  const hex = (byte: string): string => `\\x${byte.codePointAt(0)!.toString(16)}`;
  return Array.from({ length: vocabulary }, (_, token) =>
    JSON.stringify(pieces[token] ?? "").replaceAll(/[\x7f-\xff]/g, hex),
  );
}

function samplesOf(
  path: string,
  tokens: Uint16Array,
  { length, predict = "next", vocabulary = 256 }: SpecOf<"text">,
  to: Destination,
): Dataset {
  const step = predict === "next" ? 1 : length;
  const samples = Math.floor((tokens.length - 1 - length) / step) + 1;
  if (samples < 1)
    throw invalidFile(
      path,
      `${tokens.length} tokens are too few for a sample of ${length} and what follows`,
      "Give a longer text, or a smaller data.text.length.",
    );
  const sink = new FeatureSink("float32", to);
  const targets = new Int32Array(samples * (predict === "next" ? 1 : length));
  for (let sample = 0; sample < samples; sample++) {
    const start = sample * step;
    sink.append(tokens.subarray(start, start + length));
    if (predict === "next") targets[sample] = tokens[start + length]!;
    else targets.set(tokens.subarray(start + 1, start + 1 + length), sample * length);
  }
  const classes = vocabulary;
  return createDataset({
    sampleShape: [length],
    target: predict === "next" ? { kind: "class", classes } : { kind: "class", classes, positions: length },
    features: sink.finish(length),
    targets,
  });
}

/**
 * The merges that make the most frequent pairs of neighbours one token, of equally frequent ones the one of smaller numbers. They are
 * counted within words, a word being letters or digits with what stands before them, so that no token reaches over two. `path` is
 * what errors call the text. Throws DATA_INVALID for a word that is too long.
 */
export function learnMerges(text: Uint8Array, most: number, path = "the text"): Merge[] {
  const words = countWords(text, path);
  const merges: Merge[] = [];
  while (merges.length < most) {
    const counts = new Map<number, number>();
    for (const { tokens, count } of words)
      for (let at = 0; at + 1 < tokens.length; at++) {
        const pair = tokens[at]! * 65_536 + tokens[at + 1]!;
        counts.set(pair, (counts.get(pair) ?? 0) + count);
      }
    let best = -1;
    let bestCount = 1;
    for (const [pair, count] of counts)
      if (count > bestCount || (count === bestCount && best >= 0 && pair < best)) [best, bestCount] = [pair, count];
    // No pair occurs twice: there is nothing more to learn.
    if (best < 0) break;
    const merge = [Math.floor(best / 65_536), best % 65_536] as const;
    for (const word of words) word.tokens = joined(word.tokens, merge, 256 + merges.length);
    merges.push(merge);
  }
  return merges;
}

/** The words of a text, each with how often it occurs. */
function countWords(text: Uint8Array, path: string): { tokens: number[]; readonly count: number }[] {
  const counts = new Map<string, number>();
  for (const word of wordsIn(text, path)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return Array.from(counts, ([word, count]) => ({ tokens: [...Buffer.from(word, "latin1")], count }));
}

/** The words of a text in their order, their bytes as Latin-1 characters; a text may be longer than a string can be. */
function* wordsIn(text: Uint8Array, path: string): Generator<string> {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
  for (let at = 0, end = 0; at < bytes.length; at = end) {
    for (end = at + 1; end < bytes.length && isInWord[bytes[end]!]!;) end += 1;
    if (end - at > LONGEST_WORD)
      throw invalidFile(
        `${path} at offset ${at}`,
        `a word of ${end - at} bytes, of which the longest may have ${LONGEST_WORD}`,
        "Put spaces or line breaks into the text, or leave out data.text.vocabulary.",
      );
    yield bytes.toString("latin1", at, end);
  }
}

/** Whether a byte is a letter or a digit; what is not ASCII counts as a letter. */
const isInWord = Array.from({ length: 256 }, (_, byte) => /[A-Za-z0-9\x80-\xff]/.test(String.fromCodePoint(byte)));

function joined(tokens: readonly number[], [left, right]: Merge, token: number): number[] {
  const result: number[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const isPair = tokens[at] === left && tokens[at + 1] === right;
    result.push(isPair ? token : tokens[at]!);
    if (isPair) at += 1;
  }
  return result;
}

/** The tokens of a text. `path` is what errors call it. Throws DATA_INVALID for a word that is too long. */
export function tokensOf(text: Uint8Array, merges: readonly Merge[], path = "the text"): Uint16Array {
  if (merges.length === 0) return Uint16Array.from(text);
  const known = new Map<string, readonly number[]>();
  // As many as bytes at most.
  const tokens = new Uint16Array(text.length);
  let count = 0;
  for (const word of wordsIn(text, path)) {
    let pieces = known.get(word);
    if (pieces === undefined) {
      pieces = merges.reduce<readonly number[]>(
        (sofar, merge, number) => joined(sofar, merge, 256 + number),
        [...Buffer.from(word, "latin1")],
      );
      known.set(word, pieces);
    }
    for (const piece of pieces) tokens[count++] = piece;
  }
  return tokens.subarray(0, count);
}
