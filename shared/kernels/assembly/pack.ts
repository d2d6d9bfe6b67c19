/**
 * Packs 32-bit words without loss, for networks that are slower than this is. Floats of one vector are mostly of a similar size:
 * of their exponents only a few bits differ; and gradients have zeros. So the sign of a word is turned behind its mantissa, that
 * the exponent comes first. Or, where the receiver has a vector that is much like this one, a word is the difference to the word
 * there, as integers, and the sign is turned likewise (zigzag): it begins with zeros. Such words are packed in blocks of 32, the
 * last one may be shorter. A block is
 *
 *   1 byte           0x1f: all words are zero, and nothing follows; else the width of a word, in units of 4 bits, from 0 to 8,
 *                    and 0x10 if some words are zero
 *   1 byte           the reference: the first byte of the least word that isn't zero
 *   4 bytes          if some are zero: which are not, by bit
 *   width × 2 bytes  for every 4 words that aren't zero, and for what is left of them, filled up with the reference: how much
 *                    each is above the reference
 */

const BLOCK: usize = 32;
const ALL_ZERO: u8 = 0x1f;
const SOME_ZERO: u32 = 0x10;
const WIDEST: u32 = 8;

/** A bit for each of so many words. */
function bitsOf(words: usize): u32 {
  return words === BLOCK ? 0xffff_ffff : (1 << (<u32>words)) - 1;
}

function least(words: v128): u32 {
  const two = i32x4.min_u(words, v128.shuffle<u64>(words, words, 1, 0));
  return min(<u32>i32x4.extract_lane(two, 0), <u32>i32x4.extract_lane(two, 1));
}

function turned(values: usize, base: usize): v128 {
  if (base === 0) {
    const word = v128.load(values);
    return v128.or(i32x4.shl(word, 1), i32x4.shr_u(word, 31));
  }
  const difference = i32x4.sub(v128.load(values), v128.load(base));
  return v128.xor(i32x4.shl(difference, 1), i32x4.shr_s(difference, 31));
}

function turnedBack(turned: v128, base: usize): v128 {
  const sign = v128.and(turned, i32x4.splat(1));
  const rest = i32x4.shr_u(turned, 1);
  if (base === 0) return v128.or(rest, i32x4.shl(sign, 31));
  return i32x4.add(v128.load(base), v128.xor(rest, i32x4.neg(sign)));
}

/**
 * Packs `count` words, a multiple of 4, and returns how many bytes they have become. `out` shares no byte with them and has room
 * for 134 bytes a block and 16 more.
 * @param base where as many words are that they are like; 0: nowhere
 */
export function pack(out: usize, values: usize, base: usize, count: usize): usize {
  let to = out;
  for (let left = count; left > 0;) {
    const words = min(left, BLOCK);
    to = packBlock(to, values, base, words);
    values += words << 2;
    if (base !== 0) base += words << 2;
    left -= words;
  }
  return to - out;
}

/** Returns where the block ends. */
function packBlock(to: usize, values: usize, base: usize, words: usize): usize {
  // They are turned to where they are in the way of nothing that is written before they are read again.
  let from = to + 6;
  let lowest = i32x4.splat(-1);
  let highest = i32x4.splat(0);
  let present: u32 = 0;
  for (let word: usize = 0; word < words; word += 4) {
    const four = turned(values + (word << 2), base === 0 ? 0 : base + (word << 2));
    v128.store(from + (word << 2), four);
    const isZero = i32x4.eq(four, i32x4.splat(0));
    present |= (<u32>~i32x4.bitmask(isZero) & 15) << (<u32>word);
    lowest = i32x4.min_u(lowest, v128.or(four, isZero));
    highest = i32x4.max_u(highest, four);
  }
  if (present === 0) {
    store<u8>(to, ALL_ZERO);
    return to + 1;
  }
  const reference = least(lowest) & 0xff00_0000;
  const range = ~least(v128.not(highest)) - reference;
  const width = (35 - clz(range)) >> 2;
  const isFull = present === bitsOf(words);
  store<u8>(to, <u8>(isFull ? width : width | SOME_ZERO));
  store<u8>(to, <u8>(reference >> 24), 1);
  to += 2;
  if (!isFull) {
    store<u32>(to, present);
    to += 4;
    words = closeUp(from, present, reference);
  }
  return squeeze(to, from, words, reference, width);
}

/** Moves the words that are there to the front, and fills up to a multiple of four, which is returned. */
function closeUp(from: usize, present: u32, reference: u32): usize {
  let to = from;
  for (let at = from; present !== 0; at += 16, present >>= 4) {
    if ((present & 15) === 15) {
      v128.store(to, v128.load(at));
      to += 16;
    } else if ((present & 15) !== 0) {
      for (let lane: u32 = 0; lane < 4; lane++) {
        store<u32>(to, load<u32>(at + (lane << 2)));
        to += ((present >> lane) & 1) << 2;
      }
    }
  }
  const count = (to - from) >> 2;
  const filled = (count + 3) & ~3;
  for (const end = from + (filled << 2); to < end; to += 4) store<u32>(to, reference);
  return filled;
}

/** Writes how much words are above the reference; returns where that ends. */
function squeeze(to: usize, from: usize, words: usize, reference: u32, width: u32): usize {
  const least = i32x4.splat(reference);
  for (const end = from + (words << 2); from < end; from += 16) {
    const above = i32x4.sub(v128.load(from), least);
    const even = v128.and(above, i64x2.splat(0xffff_ffff));
    const pairs = v128.or(even, i64x2.shl(i64x2.shr_u(above, 32), width << 2));
    // Two words of so many half bytes each.
    v128.store64_lane(to, pairs, 0);
    v128.store64_lane(to + width, pairs, 1);
    to += width << 1;
  }
  return to;
}

/**
 * Unpacks `count` words, a multiple of 4, from `length` bytes, behind which 144 more can be read; they share none. Whether the bytes
 * are just so many packed words; if not, some words may have been written all the same, and nothing beside them.
 * @param base as it was packed with
 */
export function unpack(values: usize, base: usize, packed: usize, length: usize, count: usize): bool {
  const end = packed + length;
  for (let left = count; left > 0;) {
    const words = min(left, BLOCK);
    packed = packed < end ? unpackBlock(values, packed, words) : 0;
    if (packed === 0) return false;
    for (const last = values + (words << 2); values < last; values += 16) {
      v128.store(values, turnedBack(v128.load(values), base));
      if (base !== 0) base += 16;
    }
    left -= words;
  }
  return packed === end;
}

/** Unpacks words, turned as they are; returns where the block ends, or 0 if it is none. */
function unpackBlock(values: usize, packed: usize, words: usize): usize {
  const first = load<u8>(packed);
  if (first === ALL_ZERO) {
    memory.fill(values, 0, words << 2);
    return packed + 1;
  }
  const isFull = (first & SOME_ZERO) === 0;
  const width: u32 = first & ~SOME_ZERO;
  const body = packed + (isFull ? 2 : 6);
  if (width > WIDEST) return 0;
  const present = isFull ? bitsOf(words) : load<u32>(packed, 2);
  if ((present & ~bitsOf(words)) !== 0) return 0;
  const groups: usize = (popcnt(present) + 3) >> 2;
  stretch(values, body, groups, (<u32>load<u8>(packed, 1)) << 24, width);
  if (!isFull) spread(values, words, present);
  return body + groups * (width << 1);
}

/** Reads groups of four words. */
function stretch(values: usize, from: usize, groups: usize, reference: u32, width: u32): void {
  const least = i32x4.splat(reference);
  const bits = width << 2;
  const mask = i64x2.splat(((<u64>1) << bits) - 1);
  for (const end = values + (groups << 4); values < end; values += 16) {
    const pairs = v128.load64_lane(from + width, v128.load64_zero(from), 1);
    const odd = i64x2.shl(v128.and(i64x2.shr_u(pairs, bits), mask), 32);
    v128.store(values, i32x4.add(v128.or(v128.and(pairs, mask), odd), least));
    from += width << 1;
  }
}

/** Moves words from the front to where they belong, with zeros between them. */
function spread(values: usize, words: usize, present: u32): void {
  let from = values + (popcnt(present) << 2);
  for (let at = values + (words << 2); at > values;) {
    at -= 16;
    const four = (present >> (<u32>(at - values) >> 2)) & 15;
    if (four === 15) {
      from -= 16;
      v128.store(at, v128.load(from));
    } else if (four === 0) {
      v128.store(at, i32x4.splat(0));
    } else {
      for (let lane: u32 = 4; lane-- > 0;) {
        const isThere = (four >> lane) & 1;
        from -= isThere << 2;
        store<u32>(at + (lane << 2), load<u32>(from) & (0 - isThere));
      }
    }
  }
}
