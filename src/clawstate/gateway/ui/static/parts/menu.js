// A button that opens a list of actions, at the button and always within the page.
//
//   html`<${Menu} label="More" icon="more" items=${[
//     { title: "Supersede", icon: "replace", run: supersede, scope: "write" },
//     { title: "Forget", icon: "trash", run: forget, kind: "danger", scope: "write", keys: "d" }]} />`

import { can } from "../core/api.js";
import { classes, html, useEffect, useId, useRef, useState } from "../core/lib.js";
import { Icon } from "./icon.js";
import { guard } from "./toast.js";

/** @param {{label: string, icon?: string, items: any[], children?: any, class?: string}} props */
export function Menu({ label, icon = "more", items, children, class: extra }) {
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const root = useRef(/** @type {HTMLElement|null} */ (null));
  const allowed = items.filter((each) => each && (!each.scope || can(each.scope)));
  const close = (focus = true) => {
    setOpen(false);
    if (focus) root.current?.querySelector("button")?.focus();
  };
  useEffect(() => {
    if (!isOpen) return undefined;
    const list = /** @type {HTMLElement} */ (root.current?.querySelector('[role="menu"]'));
    // In the top layer nothing cuts it off, and nothing lies over it.
    list.showPopover();
    place(list, /** @type {HTMLElement} */ (root.current?.querySelector("button")));
    list.querySelector("button")?.focus({ preventScroll: true });
    const outside = (event) => root.current?.contains(event.target) || close(false);
    const scrolled = () => close(false);
    addEventListener("pointerdown", outside);
    addEventListener("scroll", scrolled, { passive: true, capture: true });
    return () => {
      removeEventListener("pointerdown", outside);
      removeEventListener("scroll", scrolled, { capture: true });
    };
  }, [isOpen]);
  const press = (event) => {
    const buttons = [...(root.current?.querySelectorAll('[role="menuitem"]') ?? [])];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") {
      event.stopPropagation();
      if (event.key === "Escape") event.preventDefault();
      close(event.key === "Escape");
    } else if (to !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      buttons[(to + buttons.length) % buttons.length]?.focus();
    }
  };
  if (!allowed.length) return null;
  return html`<span class=${classes("menu", extra)} ref=${root}>
    <button type="button" class=${children ? "button" : "icon-button"} aria-haspopup="menu" aria-expanded=${isOpen}
      aria-controls=${id} aria-label=${label} title=${label} onClick=${() => setOpen(!isOpen)}>
      <${Icon} name=${icon} />${children && html`<span>${children}</span>`}</button>
    ${isOpen && html`<div id=${id} role="menu" popover="manual" aria-label=${label} onKeyDown=${press}>
      ${allowed.map((each) => html`<button type="button" role="menuitem" tabindex="-1" class=${each.kind ?? ""} onClick=${() => {
        close();
        guard(async () => each.run())();
      }}>${each.icon && html`<${Icon} name=${each.icon} size="16" />`}<span>${each.title}</span>
        ${each.keys && html`<kbd>${each.keys}</kbd>`}</button>`)}
    </div>`}
  </span>`;
}

/** Below the button where there is room, and never beyond the window. */
function place(list, button) {
  const box = button.getBoundingClientRect(), { offsetWidth: width, offsetHeight: height } = list;
  const isEnd = getComputedStyle(button).direction === "ltr";
  const left = isEnd ? box.right - width : box.left;
  const top = box.bottom + 4 + height > innerHeight && box.top > height ? box.top - height - 4 : box.bottom + 4;
  list.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  list.style.top = `${top}px`;
}
