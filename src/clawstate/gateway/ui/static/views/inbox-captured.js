// Captured texts: accepted, edited or rejected, from the keyboard and many at once.

import { api, can, everything } from "../core/api.js";
import { count } from "../core/format.js";
import { classes, html, useEffect, useRef, useState } from "../core/lib.js";
import { useKeys } from "../core/keys.js";
import { Link } from "../core/router.js";
import { usePages, useQuery } from "../core/store.js";
import { VirtualList } from "../core/virtual.js";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Download } from "../parts/download.js";
import { Field } from "../parts/field.js";
import { Badge, Empty, Failed, Time, Waiting } from "../parts/small.js";
import { Block, Text } from "../parts/text.js";
import { decide, decided, isDecided, tellAll, undoLast } from "./inbox-decisions.js";

const WHY = {
  injection: "reads like an instruction to the agent",
  "hidden-text": "hides characters that nobody sees",
  instruction: "tells the agent what to do from now on",
  untrusted: "comes from neither you nor the agent",
};
const ORIGINS = { owner: ["yours", "good"], agent: ["the agent's", "accent"], untrusted: ["a stranger's", "warn"] };
const CLOSE = 0.75; // from this score on two texts say much the same
const COLUMNS = /** @type {any} */ ([
  ["id", "id"], ["text", "text"], ["reason", "reason"], ["origin", (row) => row.provenance.origin], ["who", (row) => row.provenance.who],
  ["session", (row) => row.provenance.session], ["captured", (row) => new Date(row.createdAtMs).toISOString()],
]);

export function Captured() {
  const found = usePages("memory/inbox", "items", { query: { limit: 200 }, parts: ["memory", "memory-inbox"] });
  const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
  const [at, setAt] = useState(0);
  const [jump, setJump] = useState(/** @type {any} */ (undefined));
  const [editing, edit] = useState(/** @type {any} */ (null));
  decided.value; // what is decided is not shown
  const items = found.items.filter((each) => !isDecided(each.id));
  const current = items[Math.min(at, items.length - 1)];
  const wasEmpty = useRef(true);
  useEffect(() => () => void tellAll(), []);
  useEffect(() => {
    if (wasEmpty.current && items.length) setJump({ index: 0, focus: true });
    wasEmpty.current = !items.length;
  }, [items.length]);

  const settle = (kind, ids, text) => {
    if (!ids.length || !can("write")) return;
    decide(kind, ids, { text });
    setChosen(new Set());
    setJump({ index: Math.max(0, Math.min(at, items.length - ids.length - 1)), focus: true });
  };
  const meant = () => (chosen.size ? items.filter((each) => chosen.has(each.id)).map((each) => each.id) : current ? [current.id] : []);
  const go = (by) => setJump({ index: Math.max(0, Math.min(items.length - 1, at + by)), focus: true });
  const choose = (id) => setChosen((old) => {
    const made = new Set(old);
    if (!made.delete(id)) made.add(id);
    return made;
  });
  useKeys("Inbox", {
    j: ["Next", () => go(1)], k: ["The one before", () => go(-1)],
    ...(can("write") && {
      a: ["Accept: it is remembered", () => settle("accept", meant())],
      e: ["Edit, then accept", () => current && edit(current)],
      r: ["Reject: it never comes again", () => settle("reject", meant())],
      u: ["Undo the last decision", undoLast],
      x: ["Select", () => current && choose(current.id)],
      "Shift+X": ["Select all, or none", () => setChosen(chosen.size ? new Set() : new Set(items.map((each) => each.id)))],
    }),
  });

  if (found.error && !items.length) return html`<${Failed} error=${found.error} again=${found.refresh} />`;
  if (!items.length) {
    if (found.isBusy || found.hasMore) return html`<${Waiting} lines=${8} />`;
    return html`<${Empty} icon="inbox" title="Nothing waits" command="clawstate memory capture conversation.jsonl">
      Capture keeps what is worth it of a conversation. What reads like an instruction, or comes from a stranger, waits here until you have seen it.<//>`;
  }
  return html`<div class="spread"><span class="soft small" role="status">${count(items.length)}${found.hasMore ? "+" : ""} ${items.length === 1 ? "waits" : "wait"}${chosen.size ? `, ${count(chosen.size)} selected` : ""}</span>
      <span class="line">${chosen.size > 0 && html`<${Button} size="small" kind="primary" scope="write" onClick=${() => settle("accept", meant())}>Accept ${count(chosen.size)}<//>
        <${Button} size="small" kind="danger" scope="write" onClick=${() => settle("reject", meant())}>Reject ${count(chosen.size)}<//>`}
      <${Download} name="inbox" columns=${COLUMNS} rows=${() => everything("memory/inbox", "items")} /></span></div>
    ${found.error && html`<${Failed} error=${found.error} again=${found.refresh} />`}
    <${VirtualList} label="Captured" items=${items} keyOf=${(each) => each.id} estimate=${150} jump=${jump}
      onActive=${(_, index) => setAt(index)} onEnd=${found.hasMore ? found.more : null}
      render=${(each, index) => html`<${Item} item=${each} isCurrent=${index === at} isChosen=${chosen.has(each.id)} onChoose=${() => choose(each.id)}
        onPoint=${() => setAt(index)} onAccept=${() => settle("accept", [each.id])} onReject=${() => settle("reject", [each.id])} onEdit=${() => edit(each)} />`} />
    ${can("write") && html`<p class="soft small keys-hint"><kbd>j</kbd> <kbd>k</kbd> move, <kbd>a</kbd> accept, <kbd>e</kbd> edit, <kbd>r</kbd> reject, <kbd>u</kbd> undo, <kbd>x</kbd> select</p>`}
    ${editing && html`<${Edit} item=${editing} onClose=${() => edit(null)} onKeep=${(text) => {
      edit(null);
      settle("accept", [editing.id], text);
    }} />`}`;
}

function Item({ item, isCurrent, isChosen, onChoose, onPoint, onAccept, onReject, onEdit }) {
  const { provenance } = item, [whose, kind] = ORIGINS[provenance.origin] ?? ORIGINS.untrusted;
  return html`<article class=${classes("waits-item", isCurrent && "current", isChosen && "chosen")} onClick=${onPoint}>
    <header class="line small"><${Badge} kind=${kind} title="Whose words they are">${whose}<//>
      <span>It waits since it ${WHY[item.reason] ?? html`was marked “<${Text} value=${item.reason} />”`}.</span></header>
    <${Block} value=${item.text} most=${1200} lines=${14} />
    <footer class="spread"><span class="line soft small">${item.category !== "other" && html`<${Badge}>${item.category}<//>`}
        ${provenance.who && html`<span>by <${Text} value=${provenance.who} /></span>`}<${Time} ms=${item.createdAtMs} />
        ${provenance.session && html`<${Link} to=${`/sessions/${encodeURIComponent(provenance.session)}`} query=${{ m: provenance.message }}>where it was said<//>`}</span>
      ${can("write") && html`<span class="line"><label class="line small choose"><input type="checkbox" aria-label="Select" checked=${isChosen} onChange=${onChoose} /><span class="choose-text">Select</span></label>
        <${Button} size="small" icon="check" onClick=${onAccept}>Accept<//><${Button} size="small" icon="edit" onClick=${onEdit}>Edit<//>
        <${Button} size="small" kind="danger" icon="close" onClick=${onReject}>Reject<//></span>`}</footer>
    ${isCurrent && html`<${Near} item=${item} />`}</article>`;
}

/** What is remembered already and says much the same. */
function Near({ item }) {
  const found = useQuery(`near/${item.id}`, (signal) => api.post("memory/search", { query: item.text.slice(0, 500), k: 3, namespace: item.namespace, minScore: CLOSE }, { signal }), { parts: ["memory"] });
  const hits = found.data?.results ?? [];
  return hits.length > 0 && html`<div class="near small"><b>Close to what is remembered</b><ul>${hits.map((hit) => html`<li key=${hit.id}>
    <${Link} to=${`/memory/${encodeURIComponent(hit.id)}`}><${Text} value=${hit.text.slice(0, 240)} /><//></li>`)}</ul></div>`;
}

function Edit({ item, onClose, onKeep }) {
  const [text, setText] = useState(item.text);
  return html`<${Dialog} title="Edit, then accept" onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>Cancel<//>
      <${Button} kind="primary" disabled=${!text.trim()} onClick=${() => onKeep(text)}>Accept<//>`}>
    <${Field} label="What is remembered" hint="Ctrl-Enter accepts"><textarea rows="6" dir="auto" autofocus value=${text} onInput=${(event) => setText(event.currentTarget.value)}
      onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && text.trim() && onKeep(text)}></textarea><//><//>`;
}
