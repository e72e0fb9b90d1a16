// Dialogs on the native <dialog>: the page behind is out of reach, Escape closes, the focus returns.
//
//   html`${isOpen && html`<${Dialog} title="Prune sessions" onClose=${() => setOpen(false)}
//      actions=${html`<${Button} kind="primary" onClick=${prune}>Prune<//>`}> ... <//>`}`
//
//   if (await confirm({ title: "Forget 12 memories?", text: "They cannot come back.", action: "Forget", kind: "danger" })) ...
//
// `side`: it comes from the edge, as for details; on a phone it fills the page.

import { classes, html, signal, useEffect, useId, useRef } from "../core/lib.js";
import { Button, IconButton } from "./button.js";

/** @param {{title: any, children?: any, actions?: any, onClose: () => void, side?: boolean, wide?: boolean, class?: string}} props */
export function Dialog({ title, children, actions, onClose, side, wide, class: extra }) {
  const element = useRef(/** @type {HTMLDialogElement|null} */ (null));
  const id = useId();
  useEffect(() => {
    const before = /** @type {HTMLElement|null} */ (document.activeElement);
    const dialog = element.current;
    dialog?.showModal();
    // Else the button that closes would be the first thing that is told and marked.
    if (document.activeElement?.matches("[data-closes]")) dialog?.querySelector("h2")?.focus();
    return () => {
      dialog?.close();
      if (before?.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return html`<dialog ref=${element} class=${classes("dialog", side && "side", wide && "wide", extra)} aria-labelledby=${id}
    onCancel=${(event) => {
      if (event.target !== element.current) return;
      event.preventDefault();
      onClose();
    }}
    onMouseDown=${(event) => event.target === element.current && onClose()}>
    <div class="dialog-inner">
      <header><h2 id=${id} tabindex="-1">${title}</h2><${IconButton} icon="close" label="Close" data-closes="" onClick=${onClose} /></header>
      <div class="dialog-body">${children}</div>
      ${actions && html`<footer>${actions}</footer>`}
    </div>
  </dialog>`;
}

const asked = signal(/** @type {any} */ (null));

/**
 * Asks before something that cannot be undone.
 * @param {{title: string, text?: any, action: string, kind?: "primary"|"danger"}} question
 * @returns {Promise<boolean>}
 */
export const confirm = (question) => new Promise((resolve) => {
  asked.value = { ...question, answer: (yes) => {
    asked.value = null;
    resolve(yes);
  } };
});

/** Where such questions are shown; once, in the shell. */
export function Questions() {
  const question = asked.value;
  if (!question) return null;
  return html`<${Dialog} title=${question.title} onClose=${() => question.answer(false)} actions=${html`
    <${Button} onClick=${() => question.answer(false)}>Cancel<//>
    <${Button} kind=${question.kind ?? "danger"} autofocus onClick=${() => question.answer(true)}>${question.action}<//>`}>
    ${question.text && html`<p>${question.text}</p>`}
  <//>`;
}
