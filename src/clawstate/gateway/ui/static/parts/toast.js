// Short messages at the edge, which go by themselves.
//
//   toast("Forgotten", { undo: () => restore(id) });     // with a button, and Ctrl-Z
//   fail(error);                                          // why something was not done; stays longer
//   const run = guard(async () => ...);                   // calls it, and shows what it throws
//
// Screen readers hear them. While one is looked at (pointer or focus on it) it stays.

import { isAbort } from "../core/api.js";
import { html, render, signal, useEffect, useLayoutEffect, useRef } from "../core/lib.js";
import { useKeys } from "../core/keys.js";
import { IconButton } from "./button.js";
import { Text } from "./text.js";

/** @typedef {{id: number, text: string, kind: ""|"bad", undo?: () => any, time: number}} Toast */

const toasts = signal(/** @type {Toast[]} */ ([]));
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

const close = (/** @type {number} */ id) => (toasts.value = toasts.value.filter((each) => each.id !== id));

/** @param {Toast} chosen */
const undoIt = (chosen) => {
  close(chosen.id);
  return guard(async () => {
    await chosen.undo?.();
    toast("Undone");
  })();
};

const place = document.createElement("div");

// All but a modal dialog is inert while it is open: messages are shown, and pressed, inside of it.
function follow() {
  const top = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  if (place.parentNode !== top) top.append(place);
}

/** Where they are shown; once, in the shell. */
export function Toasts() {
  const isAny = toasts.value.length > 0;
  useLayoutEffect(() => {
    render(html`<${List} />`, place);
  }, []);
  useLayoutEffect(() => {
    follow();
    if (!isAny) return undefined;
    const observer = new MutationObserver(follow);
    observer.observe(document.body, { childList: true, subtree: true, attributeFilter: ["open"] });
    return () => observer.disconnect();
  }, [isAny]);
  return null;
}

function List() {
  const lastUndo = toasts.value.filter((each) => each.undo).pop();
  useKeys("Everywhere", lastUndo ? { "Ctrl+z": ["Undo what was done last", () => undoIt(lastUndo)] } : {});
  return html`<div class="toasts" role="region" aria-label="Messages">
    ${toasts.value.map((each) => html`<${One} key=${each.id} toast=${each} />`)}
  </div>`;
}

/** @param {{toast: Toast}} props */
function One({ toast: shown }) {
  const timer = useRef(0);
  const go = () => (timer.current = setTimeout(() => close(shown.id), shown.time));
  const stay = () => clearTimeout(timer.current);
  useEffect(() => {
    go();
    return stay;
  }, []);
  return html`<div class=${`toast ${shown.kind}`} role=${shown.kind ? "alert" : "status"} onMouseEnter=${stay}
    onMouseLeave=${go} onFocusIn=${stay} onFocusOut=${go}>
    <${Text} value=${shown.text} />
    ${shown.undo && html`<button type="button" class="button small" onClick=${() => undoIt(shown)}>Undo</button>`}
    <${IconButton} icon="close" label="Close this message" onClick=${() => close(shown.id)} />
  </div>`;
}
