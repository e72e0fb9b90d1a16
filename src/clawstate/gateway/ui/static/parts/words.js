// Which words of two texts differ: `differing(first, other)` gives for each of the texts the ranges that
// the other does not have, as `Text` and `Block` mark them.

import { differences } from "./diff.js";

const MOST = 6_000; // characters of a text that are compared
const WORDS = 800; // words of a text; the time grows with the product of both
// Scripts without spaces are compared by their signs.
const WORD = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Khmer}]\p{M}*|[\p{L}\p{N}\p{M}]+|[^\s]/gu;

/** @typedef {[number, number][]} Ranges */

/** @param {string} first @param {string} other @returns {[Ranges, Ranges]} */
export function differing(first, other) {
  const left = wordsOf(first), right = wordsOf(other), found = /** @type {[Ranges, Ranges]} */ ([[], []]);
  let i = 0, j = 0, isNew = [true, true];
  for (const [sign] of differences(left.map((each) => each[0]), right.map((each) => each[0]))) {
    if (sign === " ") {
      isNew = [true, true];
      i++;
      j++;
    } else {
      const side = sign === "-" ? 0 : 1, word = side ? right[j++] : left[i++];
      const from = word.index, to = from + word[0].length, ranges = found[side];
      if (isNew[side]) ranges.push([from, to]);
      else ranges[ranges.length - 1][1] = to;
      isNew[side] = false;
    }
  }
  return found;
}

/** Ranges of several comparisons as one list. @param {Ranges[]} lists @returns {Ranges} */
export function together(lists) {
  const found = /** @type {Ranges} */ ([]);
  for (const [from, to] of lists.flat().sort((a, b) => a[0] - b[0])) {
    const last = found[found.length - 1];
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else found.push([from, to]);
  }
  return found;
}

const wordsOf = (/** @type {string} */ text) => [...text.slice(0, MOST).matchAll(WORD)].slice(0, WORDS);
