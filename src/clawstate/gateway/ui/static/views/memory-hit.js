// One memory in a list: its text with what was asked for, where it comes from, and why it came.

import { can, segment } from "../core/api.js";
import { cut, fileName } from "../core/format.js";
import { html, useState } from "../core/lib.js";
import { navigate, setQuery } from "../core/router.js";
import { Later } from "../parts/later.js";
import { Menu } from "../parts/menu.js";
import { Badge, Time } from "../parts/small.js";
import { Text } from "../parts/text.js";
import { forgetWithUndo } from "./memory-forget.js";

const SHOWN = 320;

const whyCame = () => import("./memory-why-hit.js");

/** A score as a share of the whole. */
const shareOf = (record) => Math.max(0, Math.min(1, record.score));

export function Hit({ record, isHit, asked, onOpen }) {
  const [isWhy, setWhy] = useState(false);
  const stop = (event) => event.target.closest("button, a, summary, input") || getSelection()?.toString() || onOpen();
  return html`<article class="hit" onClick=${stop} aria-label=${cut(record.title ?? record.text, 80)}>
    <div class="hit-body">
      ${(record.title || record.headings.length > 0) && html`<div class="hit-title"><${Text} value=${record.title ?? record.headings.join(" › ")} /></div>`}
      ${record.snippet ? html`<p class="hit-text" dir="auto">${record.snippet.map((each) => (each.marked
          ? html`<mark><${Text} value=${each.text} /></mark>` : html`<${Text} value=${each.text} />`))}</p>`
        : html`<div class="hit-text" dir="auto"><${Text} value=${beginningOf(record)} /></div>`}
      <div class="hit-foot">
        ${isHit && html`<button type="button" class="score" aria-expanded=${isWhy} title="Why it came" onClick=${() => setWhy(!isWhy)}>
          <meter min="0" max="1" value=${shareOf(record)} aria-label="Score"></meter><span class="num">${record.score.toFixed(2)}</span> why</button>`}
        <${Origin} record=${record} />
        ${record.tags.map((each) => html`<button type="button" key=${each} class="tag" title="Only with this tag"
          onClick=${() => setQuery({ tag: [each] })}><${Text} value=${each} /></button>`)}
        ${record.category !== "other" && html`<${Badge}>${record.category}<//>`}
        <${Time} ms=${record.createdAtMs} />
        ${record.expiresAtMs && html`<${Badge} kind="warn">until <${Time} ms=${record.expiresAtMs} /><//>`}
      </div>
      ${isWhy && html`<${Later} load=${whyCame} record=${record} asked=${asked} />`}
    </div>
    <${Menu} label="Actions" items=${[
      { title: can("write") ? "Open and edit" : "Open", icon: "edit", keys: "Enter", run: onOpen },
      { title: "Forget", icon: "trash", kind: "danger", keys: "d", scope: "write", run: () => forgetWithUndo(record) },
    ]} />
  </article>`;
}

/** The first lines of a text, without headings that are shown above it. */
function beginningOf(record) {
  const text = cut(record.text, SHOWN + 200, 12);
  const rest = record.headings.length ? text.replace(/^(?:#+ [^\n]*\n\s*)+/, "") : text;
  const shown = cut(rest || text, SHOWN, 5);
  return shown.length < record.text.length - (text.length - rest.length) ? `${shown.trimEnd()}…` : shown;
}

/** Where a memory comes from, as a way to there. */
export function Origin({ record }) {
  const told = record.metadata?.captured;
  if (told?.session) {
    const who = { owner: "you", agent: "the agent", untrusted: "somebody else" }[told.origin] ?? told.origin;
    return html`<a class="origin" href=${`/sessions/${segment(told.session)}?m=${segment(told.message ?? "")}`} onClick=${(event) => {
      event.preventDefault();
      navigate(`/sessions/${segment(told.session)}`, { m: told.message });
    }}>said by ${who}</a>`;
  }
  if (!record.source) return null;
  return html`<button type="button" class="origin" title=${`Only from ${record.source}`} onClick=${() => setQuery({ source: record.source })}>
    <${Text} value=${fileName(record.source)} />${record.metadata?.start_line && html`:${record.metadata.start_line}`}</button>`;
}
