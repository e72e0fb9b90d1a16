// What changed between two texts, line by line: html`<${Diff} before=${old} after=${now} labels=${["Theirs", "Yours"]} />`
// Added and removed lines are told by a sign as well as by colour.

import { html, useMemo } from "../core/lib.js";
import { Text } from "./text.js";

/** @param {{before: string, after: string, labels?: [string, string], context?: number}} props */
export function Diff({ before, after, labels = ["Before", "After"], context = 3 }) {
  const lines = useMemo(() => around(differences(before.split("\n"), after.split("\n")), context), [before, after, context]);
  return html`<div class="diff" role="group" aria-label=${`Changes from ${labels[0]} to ${labels[1]}`}>
    <div class="diff-legend"><span class="removed">− ${labels[0]}</span><span class="added">+ ${labels[1]}</span></div>
    ${lines.length ? lines.map(([sign, text]) => html`<div class=${{ "+": "added", "-": "removed", "…": "gap" }[sign] ?? ""}>
      <span class="sign">${sign === "-" ? "−" : sign}</span><${Text} value=${text || " "} /></div>`)
    : html`<p class="soft">Nothing differs.</p>`}
  </div>`;
}

const MOST = 4_000_000; // cells of the table of common lines

/**
 * The shortest way from one list of lines to another.
 * @param {string[]} a @param {string[]} b @returns {[string, string][]} a sign (" ", "-", "+") and a line
 */
export function differences(a, b) {
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const left = a.slice(start, a.length - end), right = b.slice(start, b.length - end);
  const same = (line) => /** @type {[string, string]} */ ([" ", line]);
  return [...a.slice(0, start).map(same), ...middle(left, right), ...a.slice(a.length - end).map(same)];
}

/** @param {string[]} a @param {string[]} b @returns {[string, string][]} */
function middle(a, b) {
  if (a.length * b.length > MOST) return [...a.map((each) => ["-", each]), ...b.map((each) => ["+", each])];
  const width = b.length + 1, table = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const found = /** @type {[string, string][]} */ ([]);
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) found.push([" ", a[i++]]), j++;
    else if (i < a.length && (j === b.length || table[(i + 1) * width + j] >= table[i * width + j + 1])) found.push(["-", a[i++]]);
    else found.push(["+", b[j++]]);
  }
  return found;
}

/** @param {[string, string][]} lines @param {number} context */
function around(lines, context) {
  const near = new Uint8Array(lines.length);
  lines.forEach(([sign], index) => {
    if (sign !== " ") near.fill(1, Math.max(0, index - context), index + context + 1);
  });
  const found = /** @type {[string, string][]} */ ([]);
  lines.forEach((each, index) => {
    if (near[index]) found.push(each);
    else if (found.length && found[found.length - 1][0] !== "…") found.push(["…", ""]);
  });
  if (found.length && found[found.length - 1][0] === "…") found.pop();
  return found;
}
