// How much waits on a screen, beside its name in the navigation.
//
// A screen says so in core/screens.js: `count: { parts: [...], load: async (signal) => "12" }`; an empty
// text shows nothing. It is asked once the page is at rest, and again when one of its parts moves.

import { html, useEffect, useState } from "./lib.js";
import { useQuery } from "./store.js";

const REST = 400; // milliseconds: what the page is about comes first

/** @param {{screen: import("./screens.js").Screen}} props */
export function Count({ screen }) {
  const [isResting, rest] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => rest(true), REST);
    return () => clearTimeout(timer);
  }, []);
  return isResting ? html`<${Shown} screen=${screen} />` : null;
}

function Shown({ screen }) {
  const { load, parts } = screen.count;
  const found = useQuery(`count/${screen.id}`, load, { parts });
  return found.data ? html`<span class="count">${found.data}<span class="hidden"> wait</span></span>` : null;
}
