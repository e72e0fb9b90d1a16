// Near-duplicates of which somebody said that all of them stay: noted in the browser, by their ids and
// without a text. A group that gets another record is a new one, and is shown.

import { signal } from "../core/lib.js";

const NOTED = "clawstate.apart";
const MOST = 500; // groups; the oldest are forgotten

export const apart = signal(/** @type {Set<string>} */ (new Set(read())));

/** @param {{records: string[], more: number}} group */
export const nameOf = ({ records, more }) => [...[...records].sort(), more].join(" ");

/** @param {string[]} names @param {boolean} stay */
export function setApart(names, stay) {
  const made = new Set(read());
  for (const each of names) {
    made.delete(each);
    if (stay) made.add(each);
  }
  apart.value = new Set([...made].slice(-MOST));
  try {
    localStorage.setItem(NOTED, JSON.stringify([...apart.value]));
  } catch {
    // A browser that keeps nothing.
  }
}

/** @returns {string[]} */
function read() {
  try {
    return JSON.parse(localStorage.getItem(NOTED) ?? "[]");
  } catch {
    return [];
  }
}
