// Fields of forms, with their label, a hint and what is wrong.
//
//   html`<${Field} label="Tags" hint="separated by commas" error=${problem}>
//     <input value=${tags} onInput=${...} /><//>`
//   html`<${Choice} label="Mode" value=${mode} options=${[["hybrid", "Words and meaning"], ...]} onChange=${setMode} />`
//   html`<${Switch} label="Show archived" value=${on} onChange=${setOn} />`
//   html`<${SearchField} label="Search sessions" value=${q} onInput=${setQ} placeholder="..." autofocus />`

import { cloneElement } from "../vendor/preact.js";
import { classes, html, useEffect, useId, useRef } from "../core/lib.js";
import { Icon } from "./icon.js";

/** @param {{label: any, hint?: any, error?: any, children: any, class?: string}} props `children` is the one field */
export function Field({ label, hint, error, children, class: extra }) {
  const id = useId();
  const told = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  const only = Array.isArray(children) ? children.find((each) => each && typeof each === "object") : children;
  return html`<div class=${classes("field", error && "wrong", extra)}>
    <label for=${id}>${label}</label>
    ${cloneElement(only, { id, "aria-describedby": told || undefined, "aria-invalid": error ? true : undefined })}
    ${hint && html`<small id=${`${id}-hint`}>${hint}</small>`}
    ${error && html`<small id=${`${id}-error`} class="error">${error}</small>`}
  </div>`;
}

/** @param {{label: any, value: string, options: [string, any][], onChange: (value: string) => void, hint?: any}} props */
export const Choice = ({ label, value, options, onChange, hint }) => html`<${Field} label=${label} hint=${hint}>
  <select value=${value} onChange=${(event) => onChange(event.currentTarget.value)}>
    ${options.map(([each, name]) => html`<option value=${each} selected=${each === value}>${name}</option>`)}
  </select><//>`;

/** @param {{label: any, value: boolean, onChange: (value: boolean) => void, disabled?: boolean}} props */
export const Switch = ({ label, value, onChange, disabled }) => html`<label class="switch">
  <input type="checkbox" role="switch" checked=${value} disabled=${disabled}
    onChange=${(event) => onChange(event.currentTarget.checked)} /><span>${label}</span></label>`;

/** @param {any} props `input`: a ref for the element itself */
export function SearchField({ label, value, onInput, onKeyDown, placeholder, autofocus, input, busy, id }) {
  const own = useRef(/** @type {HTMLInputElement|null} */ (null));
  const element = input ?? own;
  useEffect(() => {
    // Not on a phone, where it would bring up the keyboard.
    if (autofocus && matchMedia("(pointer: fine)").matches) element.current?.focus({ preventScroll: true });
  }, []);
  return html`<div class=${classes("search-field", busy && "busy")} role="search">
    <${Icon} name="search" />
    <input ref=${element} id=${id} type="search" value=${value} placeholder=${placeholder} aria-label=${label} dir="auto"
      autocomplete="off" autocapitalize="off" spellcheck=${false} enterkeyhint="search"
      onInput=${(event) => onInput(event.currentTarget.value)} onKeyDown=${onKeyDown} />
    ${value && html`<button type="button" class="icon-button" aria-label="Clear" title="Clear" onClick=${() => {
      onInput("");
      element.current?.focus();
    }}><${Icon} name="close" size="16" /></button>`}
  </div>`;
}
