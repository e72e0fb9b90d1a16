// What changed between two moments: each change with what was before and after it.

import { api } from "../core/api.js";
import { html, useState } from "../core/lib.js";
import { count } from "../core/format.js";
import { Link } from "../core/router.js";
import { usePages } from "../core/store.js";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Diff } from "../parts/diff.js";
import { Badge, Empty, Failed, Time, Waiting } from "../parts/small.js";
import { Block, Text } from "../parts/text.js";
import { Restore } from "./timeline-restore.js";

const KINDS = /** @type {Record<string, [string, string]>} */ ({
  added: ["added", "good"], updated: ["changed", ""], superseded: ["replaced", ""], archived: ["archived", "warn"],
  forgotten: ["forgotten", "bad"], ended: ["ended", "warn"], said: ["messages", ""], undone: ["undone", ""],
});
const NAMES = /** @type {Record<string, string>} */ ({ config: "Config", memory: "Memory", sessions: "Session", transcripts: "Conversation" });

/** @param {{since: number, until: number, part: string}} props both in seconds */
export function Changes({ since, until, part }) {
  const found = usePages("timeline/changes", "changes", {
    query: { since, until, part: part || undefined, limit: 50 }, parts: ["memory", "sessions", "transcripts", "config"],
  });
  const [shown, show] = useState(/** @type {{number: number, diff: string}|null} */ (null));
  const [restored, restore] = useState(/** @type {any} */ (null));
  if (found.error) return html`<${Failed} error=${found.error} again=${found.refresh} />`;
  if (!found.items.length) {
    return found.hasMore || found.isBusy ? html`<${Waiting} /> ` : html`<${Empty} icon="clock" title="Nothing changed on this day"
      command="clawstate diff --since yesterday">Choose another day above.<//>`;
  }
  const compare = async (number) => show({ number, diff: (await api.get("config/diff", { query: { number } })).diff });
  return html`<ol class="moves">${found.items.map((each) => html`<${Change} key=${`${each.atMs} ${each.part} ${each.kind} ${each.name} ${each.number}`}
      change=${each} compare=${compare} restore=${restore} />`)}</ol>
    ${found.hasMore && html`<${Button} onClick=${() => found.more()}>Show earlier changes<//>`}
    ${shown && html`<${Dialog} wide title=${`Change ${shown.number}`} onClose=${() => show(null)}><pre><${Block} value=${shown.diff} /></pre><//>`}
    ${restored && html`<${Restore} of=${restored} onClose=${() => restore(null)} />`}`;
}

function Change({ change, compare, restore }) {
  const [name, kind] = KINDS[change.kind] ?? [change.kind, ""];
  const { before, after } = change;
  return html`<li class="card"><div class="spread"><div class="line"><${Time} ms=${change.atMs} />
        <span class="soft small">${NAMES[change.part] ?? change.part}</span><${Badge} kind=${kind}>${name}<//>
        <${Name} change=${change} /></div>
      <span class="line">${change.part === "config" && html`<${Button} size="small" onClick=${() => compare(change.number)}>What changed<//>`}
        ${canRestore(change) && html`<${Button} size="small" icon="undo" scope=${change.part === "config" ? "admin" : "write"}
          onClick=${() => restore(change)}>Make it as before<//>`}</span></div>
    ${change.by && html`<div class="soft small">by <${Text} value=${change.by} /></div>`}
    ${before !== null && after !== null ? html`<${Diff} before=${before} after=${after} labels=${["Was", "Became"]} />`
      : (before ?? after) !== null && html`<div class=${before === null ? "" : "gone"}><${Block} value=${before ?? after} lines=${6} most=${600} /></div>`}</li>`;
}

function Name({ change }) {
  if (change.kind === "forgotten") return html`<span>${count(change.count)} ${change.count === 1 ? "memory" : "memories"}</span>`;
  if (change.kind === "said") {
    return html`<${Link} to=${`/sessions/${encodeURIComponent(change.name)}`}>${count(change.count)} in <${Text} value=${change.name.slice(0, 8)} /><//>`;
  }
  if (change.part === "config") return html`<b><${Text} value=${change.changed.join(", ") || change.name} /></b>`;
  if (change.part === "sessions") return html`<b><${Text} value=${change.name} /></b>`;
  return html`<${Link} to=${`/memory/${encodeURIComponent(change.name)}`}>open<//>`;
}

const canRestore = (change) => (change.part === "memory" && ["updated", "superseded", "archived"].includes(change.kind))
  || (change.part === "sessions" && ["updated", "ended"].includes(change.kind))
  || (change.part === "config" && change.changed.length === 1 && !change.name.startsWith("agent "));
