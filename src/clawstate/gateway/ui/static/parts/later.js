// A part whose module comes when it is shown first: html`<${Later} load=${() => import("./big.js")} ...props />`
// It is the default export. Give the same function each time: what came stays with it.

import { html, useEffect, useState } from "../core/lib.js";
import { fail } from "./toast.js";

const loaded = /** @type {Map<Function, any>} */ (new Map());

/** @param {{load: () => Promise<{default: any}>, [name: string]: any}} props */
export function Later({ load, ...props }) {
  const [, again] = useState(0);
  const Part = loaded.get(load);
  useEffect(() => {
    if (Part) return;
    load().then((module) => {
      loaded.set(load, module.default);
      again((n) => n + 1);
    }, fail);
  }, [load]);
  return Part ? html`<${Part} ...${props} />` : null;
}
