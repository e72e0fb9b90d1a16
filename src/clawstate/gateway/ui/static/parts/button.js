// Buttons. One that works shows that it does, and cannot be pressed twice.
//
//   html`<${Button} kind="primary" icon="plus" onClick=${add}>Remember<//>`   kind: "", "primary", "danger", "quiet"
//   html`<${IconButton} icon="trash" label="Forget" onClick=${forget} />`
//
// `onClick` may be async: until it is done the button waits; what it throws is shown as a toast.
// `scope`: the button is there only if the token allows that ("write", "admin", ...).

import { can, isAbort } from "../core/api.js";
import { classes, html, useState } from "../core/lib.js";
import { Icon } from "./icon.js";
import { fail } from "./toast.js";

/** @param {any} props */
export function Button({ kind = "", icon, size, scope, onClick, disabled, children, class: extra, type = "button", ...rest }) {
  const [isBusy, press] = usePress(onClick);
  if (scope && !can(scope)) return null;
  return html`<button type=${type} class=${classes("button", kind, size, isBusy && "busy", extra)} onClick=${press}
    disabled=${disabled} aria-busy=${isBusy || undefined} ...${rest}>
    ${icon && html`<${Icon} name=${icon} size=${size === "small" ? 15 : 17} />`}<span>${children}</span></button>`;
}

/** @param {any} props */
export function IconButton({ icon, label, scope, onClick, class: extra, ...rest }) {
  const [isBusy, press] = usePress(onClick);
  if (scope && !can(scope)) return null;
  return html`<button type="button" class=${classes("icon-button", isBusy && "busy", extra)} title=${label}
    aria-label=${label} onClick=${press} ...${rest}><${Icon} name=${icon} /></button>`;
}

/** @param {Function|undefined} onClick @returns {[boolean, (event: Event) => void]} */
function usePress(onClick) {
  const [isBusy, setBusy] = useState(false);
  return [isBusy, async (event) => {
    if (isBusy) return event.preventDefault();
    const done = onClick?.(event);
    if (!(done instanceof Promise)) return;
    setBusy(true);
    try {
      await done;
    } catch (error) {
      if (!isAbort(error)) fail(error);
    } finally {
      setBusy(false);
    }
  }];
}
