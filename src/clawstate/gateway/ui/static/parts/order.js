// A list whose order people set: by dragging, or by keyboard with Alt and the arrows, or the buttons.
//
//   html`<${Order} label="Order" items=${items} keyOf=${(each) => each.id} nameOf=${(each) => each.id}
//     canMove=${can("admin")} render=${(each) => ...} onOrder=${(items) => store(items)} />`
//
// `onOrder` may be async and may throw: then the order is as it was, and why is told.

import { classes, html, useEffect, useRef, useState } from "../core/lib.js";
import { IconButton } from "./button.js";
import { guard } from "./toast.js";

/**
 * @param {{label: string, items: any[], keyOf: (item: any) => string, nameOf: (item: any) => string, canMove?: boolean,
 *   render: (item: any) => any, onOrder: (items: any[]) => any}} props
 */
export function Order({ label, items, keyOf, nameOf, canMove = true, render, onOrder }) {
  const [shown, setShown] = useState(items);
  const [dragged, setDragged] = useState(-1);
  const [told, tell] = useState("");
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  const keys = items.map(keyOf).join("\n");
  useEffect(() => setShown(items), [keys, items]);
  const keep = async (order) => {
    if (order.map(keyOf).join("\n") === keys) return;
    try {
      await onOrder(order);
    } catch (error) {
      setShown(items);
      throw error;
    }
  };
  const move = (from, to) => {
    if (to < 0 || to >= shown.length || to === from) return shown;
    const order = [...shown];
    order.splice(to, 0, ...order.splice(from, 1));
    setShown(order);
    tell(`${nameOf(order[to])}: place ${to + 1} of ${order.length}`);
    return order;
  };
  const step = (from, by) => {
    const to = from + by;
    if (to < 0 || to >= shown.length) return;
    guard(keep)(move(from, to));
    requestAnimationFrame(() => /** @type {any} */ (box.current?.children[to])?.focus());
  };
  return html`<div class="order-box"><ol class="order" aria-label=${label} ref=${box}>${shown.map((each, index) => html`<li key=${keyOf(each)}
    class=${classes("card order-row", index === dragged && "dragged")} tabindex=${canMove ? 0 : undefined} draggable=${canMove}
    aria-keyshortcuts=${canMove ? "Alt+ArrowUp Alt+ArrowDown" : undefined}
    onDragStart=${(event) => {
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", nameOf(each));
      setDragged(index);
    }}
    onDragOver=${(event) => {
      if (dragged < 0) return;
      event.preventDefault();
      if (index === dragged) return;
      move(dragged, index);
      setDragged(index);
    }}
    onDrop=${(event) => event.preventDefault()}
    onDragEnd=${() => {
      setDragged(-1);
      guard(keep)(shown);
    }}
    onKeyDown=${(event) => {
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!by || !canMove || !event.altKey) return;
      event.preventDefault();
      step(index, by);
    }}>
    ${canMove && html`<span class="order-buttons"><${IconButton} icon="down" class="up" label=${`${nameOf(each)} earlier`} disabled=${!index}
        onClick=${() => step(index, -1)} /><${IconButton} icon="down" label=${`${nameOf(each)} later`} disabled=${index === shown.length - 1}
        onClick=${() => step(index, 1)} /></span>`}
    <div class="order-item">${render(each)}</div></li>`)}
  </ol><span class="hidden" role="status">${told}</span></div>`;
}
