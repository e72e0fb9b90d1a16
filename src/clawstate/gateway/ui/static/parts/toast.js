// Short messages at the edge, which go by themselves.
//
//   toast("Forgotten", { undo: () => restore(id) });     // with a button, and Ctrl-Z
//   fail(error);                                          // why something was not done; stays longer
//   const run = guard(async () => ...);                   // calls it, and shows what it throws
//
// Screen readers hear them. While one is looked at (pointer or focus on it) it stays.

import { isAbort } from "../core/api.js";
import { signal } from "../core/lib.js";

/** @typedef {{id: number, text: string, kind: ""|"bad", undo?: () => any, time: number}} Toast */

/** Those that are shown now, by parts/toasts.js. */
export const toasts = signal(/** @type {Toast[]} */ ([]));
let last = 0;

/** @param {string} text @param {{undo?: () => any, kind?: ""|"bad", time?: number}} [options] */
export function toast(text, { undo, kind = "", time = undo ? 10_000 : 4_000 } = {}) {
  const made = { id: ++last, text, kind, undo, time };
  toasts.value = [...toasts.value.slice(-3), made];
  return () => close(made.id);
}

/** @param {any} error */
export function fail(error) {
  if (isAbort(error)) return;
  if (!error?.type) console.warn(error);
  toast(error?.message ?? String(error), { kind: "bad", time: 9_000 });
}

/** @template {any[]} A @param {(...given: A) => any} call @returns {(...given: A) => Promise<any>} */
export const guard = (call) => async (...given) => {
  try {
    return await call(...given);
  } catch (error) {
    return fail(error);
  }
};

/** Takes one away. */
export const close = (/** @type {number} */ id) => (toasts.value = toasts.value.filter((each) => each.id !== id));
