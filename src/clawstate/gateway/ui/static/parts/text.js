// What somebody else wrote, shown as text and nothing but text.
//
//   html`<${Text} value=${record.text} />`                       // in a line; keeps its direction to itself
//   html`<${Block} value=${record.text} marks=${["tea"]} />`     // whole paragraphs; long ones are cut
//   html`<${Code} value=${json} />`                              // the same in a fixed width, with a copy button
//
// - controls, terminal sequences and bidi marks are made visible, and do nothing;
// - `marks`: words that are highlighted, however they are written; or `ranges`: [[from, to], ...];
// - more than 4,000 characters or 60 lines wait behind "Show all"; a megabyte comes in parts.

import { who } from "../core/api.js";
import { cut, pieces, shortly } from "../core/format.js";
import { classes, html, useState } from "../core/lib.js";
import { Copy } from "./copy.js";

const STEP = 100_000; // characters that are added at once: more, and the page stands still

/** @param {{value: any, marks?: string[], ranges?: [number, number][], class?: string}} props */
export const Text = ({ value, marks, ranges, class: extra }) =>
  html`<bdi class=${classes("text", extra)}>${shown(String(value ?? ""), marks, ranges)}</bdi>`;

/**
 * @param {{value: any, marks?: string[], ranges?: [number, number][], most?: number, lines?: number,
 *   class?: string}} props
 */
export function Block({ value, marks, ranges, most = 4000, lines = 60, class: extra }) {
  const text = String(value ?? "");
  const [limit, setLimit] = useState(0);
  const part = limit ? cut(text, limit, Infinity) : cut(text, most, lines);
  const left = text.length - part.length;
  return html`<div class=${classes("block", extra)} dir="auto">
    <div class="block-text">${shown(part, marks, ranges)}</div>
    ${left > 0 && html`<button type="button" class="quiet small" onClick=${(event) => {
      event.stopPropagation();
      setLimit(part.length + STEP);
    }}>Show ${left > STEP ? "more" : "all"} (${shortly(left)} more characters)</button>`}
    ${limit > 0 && left <= 0 && text.length > most && html`<button type="button" class="quiet small"
      onClick=${() => setLimit(0)}>Show less</button>`}
  </div>`;
}

/** @param {{value: any, label?: string, class?: string}} props */
export const Code = ({ value, label = "Copy", class: extra }) => html`<div class=${classes("code", extra)}>
  <${Block} value=${value} /><${Copy} value=${String(value ?? "")} label=${label} />
</div>`;

/** A command that somebody may run, for the state that is shown, with a button that copies it. @param {{children: string}} props */
export function Command({ children }) {
  const text = String(children).replace(/^clawstate(?= )/, who.value?.command ?? "clawstate");
  return html`<span class="command"><code>${text}</code><${Copy} value=${text} label="Copy the command" /></span>`;
}

/** @param {string} text @param {string[]} [marks] @param {[number, number][]} [ranges] */
function shown(text, marks, ranges) {
  const places = ranges ?? (marks?.length ? placesOf(text, marks) : []);
  if (!places.length) return visible(text);
  const found = [];
  let done = 0;
  for (const [from, to] of places) {
    if (from < done || from >= text.length) continue;
    // What goes on behind a cut is marked up to there.
    found.push(visible(text.slice(done, from)), html`<mark>${visible(text.slice(from, to))}</mark>`);
    done = to;
  }
  return [...found, visible(text.slice(done))];
}

/** @param {string} text */
const visible = (text) => text && pieces(text).map((each) => (each.control
  ? html`<span class="control" title=${each.control}>${each.text}</span>` : each.text));

/**
 * Where words stand in a text: whole words and their beginnings, in any case.
 * @param {string} text @param {string[]} words @returns {[number, number][]}
 */
export function placesOf(text, words) {
  const wanted = words.filter(Boolean).sort((a, b) => b.length - a.length).slice(0, 40);
  if (!wanted.length) return [];
  const pattern = wanted.map((each) => each.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  // Scripts without spaces have no beginnings of words.
  const found = [...text.matchAll(new RegExp(`(?<![\\p{L}\\p{N}])(?:${pattern})|(?<=[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}])(?:${pattern})`, "giu"))];
  return found.slice(0, 500).map((each) => [each.index, each.index + each[0].length]);
}
