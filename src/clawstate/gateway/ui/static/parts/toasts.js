// Where the messages of parts/toast.js are shown.

import { html, render, useEffect, useLayoutEffect, useRef } from "../core/lib.js";
import { useKeys } from "../core/keys.js";
import { IconButton } from "./button.js";
import { Text } from "./text.js";
import { close, guard, toast, toasts } from "./toast.js";

/** @param {import("./toast.js").Toast} chosen */
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

/** @param {{toast: import("./toast.js").Toast}} props */
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
