// Sessions: all conversations, and what was said in them.

import { api, everything } from "../core/api.js";
import { html, signal, useEffect, useRef, useState } from "../core/lib.js";
import { useCommands, useKeys } from "../core/keys.js";
import { Link, navigate, setQuery } from "../core/router.js";
import { usePages, useQuery } from "../core/store.js";
import { VirtualList } from "../core/virtual.js";
import { Button } from "../parts/button.js";
import { Download } from "../parts/download.js";
import { SearchField } from "../parts/field.js";
import { Badge, Empty, Failed, Time, Waiting } from "../parts/small.js";
import { Tabs } from "../parts/tabs.js";
import { Text } from "../parts/text.js";
import { Prune } from "./sessions-prune.js";
import { Reader } from "./sessions-reader.js";

/** Messages that are asked for while somebody types, and for who goes through them. */
const FIRST = 40, MOST = 200;

const COLUMNS = /** @type {any} */ ([
  ["key", "key"], ["session", "sessionId"], ["label", "label"],
  ["updated", (row) => new Date(row.updatedAtMs).toISOString()],
]);

export const isPruning = signal(false);

/** Where a session is, and if one is named a message in it. */
export const placeOf = (sessionId) => `/sessions/${encodeURIComponent(sessionId)}`;

export default function Sessions({ params, query }) {
  useCommands([{ id: "sessions.prune", title: "Prune sessions", hint: "clean up old", scope: "write", run: () => (isPruning.value = true) }]);
  return html`${params.id ? html`<${Reader} key=${params.id} id=${params.id} query=${query} />` : html`<${Overview} query=${query} />`}
    ${isPruning.value && html`<${Prune} onClose=${() => (isPruning.value = false)} />`}`;
}

function Overview({ query }) {
  const q = query.q ?? "", where = query.in === "messages" ? "messages" : "sessions";
  const field = useRef(/** @type {HTMLInputElement|null} */ (null));
  useKeys("Sessions", { "/": ["Search", () => field.current?.focus()] });
  return html`<div class="head"><h1>Sessions</h1>
      <div class="actions"><${Button} scope="write" icon="trash" onClick=${() => (isPruning.value = true)}>Prune…<//>
        <${Download} name="sessions" columns=${COLUMNS} rows=${() => everything("sessions", "sessions", { query: { q } })} /></div></div>
    <div class="stack"><${SearchField} label="Search sessions and what was said" value=${q} input=${field} autofocus
      placeholder=${where === "messages" ? "Words that were said" : "A name, key or id"}
      onInput=${(text) => setQuery({ q: text }, { replace: true })}
      onKeyDown=${(event) => event.key === "ArrowDown" && focusList(event)} />
    <${Tabs} label="Where to search" value=${where} tabs=${[["sessions", "Sessions"], ["messages", "What was said"]]}
      onChange=${(to) => setQuery({ in: to === "messages" ? to : "" })} />
    ${where === "messages" ? html`<${Said} q=${q} />` : html`<${List} q=${q} />`}</div>`;
}

function focusList(event) {
  event.preventDefault();
  /** @type {HTMLElement|null} */ (document.querySelector('.virtual [tabindex="0"]'))?.focus();
}

function List({ q }) {
  const words = useLater(q);
  const found = usePages("sessions", "sessions", { query: { q: words, limit: 200 }, parts: ["sessions"] });
  if (found.error && !found.items.length) return html`<${Failed} error=${found.error} again=${found.refresh} />`;
  if (!found.items.length) {
    if (found.isBusy || found.hasMore) return html`<${Waiting} lines=${8} />`;
    return words ? html`<${Empty} icon="search" title="No session is called so">What was said in them is searched under “What was said”.<//>`
      : html`<${Empty} icon="chat" title="No sessions yet" command="clawstate sessions resolve agent:main:main">
        A session is one conversation of your agent. The first one comes with its first message, or with this command.<//>`;
  }
  return html`${found.error && html`<${Failed} error=${found.error} again=${found.refresh} />`}
    <${VirtualList} label="Sessions" items=${found.items} keyOf=${(each) => each.sessionId} estimate=${58}
      onEnd=${found.hasMore ? found.more : null} onOpen=${(each) => navigate(placeOf(each.sessionId))}
      render=${(each) => html`<${Link} class="session" to=${placeOf(each.sessionId)} tabindex="-1">
        <span class="session-name"><${Text} value=${each.label ?? each.key} marks=${words.split(/\s+/)} /></span>
        <span class="soft small"><${Time} ms=${each.updatedAtMs} /></span>
        <span class="session-key soft small"><${Text} value=${each.label ? each.key : each.sessionId} /></span><//>`} />`;
}

function Said({ q }) {
  const words = useLater(q).trim();
  const [wide, setWide] = useState("");
  const limit = wide === words ? MOST : FIRST;
  const found = useQuery(`transcripts/search/${limit}/${words}`, (aborted) => (words
    ? api.post("transcripts/search", { text: words, limit }, { signal: aborted }) : Promise.resolve({ results: [] })), { parts: ["transcripts"] });
  // What was found for less stays until there is more to show.
  const last = useRef(/** @type {any} */ (null));
  if (found.data) last.current = { ...found.data, words };
  const shown = found.data ?? (words && last.current);
  if (found.error) return html`<${Failed} error=${found.error} again=${found.refresh} />`;
  if (!words) return html`<${Empty} icon="search" title="Search all that was said">Words in “quotes” stand together. Each hit leads to its message.<//>`;
  if (!shown) return html`<${Waiting} lines=${8} />`;
  const hits = shown.results;
  if (!hits.length) return html`<${Empty} icon="search" title="Nobody said that" />`;
  const to = (hit) => [placeOf(hit.sessionId), { m: hit.id, q: words }];
  return html`<div class="spread"><span class="soft small" role="status">${hits.length >= limit ? `The best ${hits.length}` : hits.length} ${hits.length === 1 ? "message" : "messages"}</span>
      <${Download} name="messages" rows=${hits} columns=${[["session", "sessionId"], ["message", "id"], ["time", "timestamp"], ["role", "role"], ["text", "snippet"]]} /></div>
    <${VirtualList} label="Messages" class=${found.data ? "" : "old"} onEnd=${limit === FIRST && hits.length === FIRST ? () => setWide(words) : null} items=${hits} keyOf=${(each) => `${each.sessionId} ${each.id}`} estimate=${86}
      onOpen=${(hit) => navigate(...to(hit))}
      render=${(hit) => html`<${Link} class="session" to=${to(hit)[0]} query=${to(hit)[1]} tabindex="-1">
        <span class="line"><${Badge}>${hit.role ?? hit.type}<//><span class="soft small"><${Text} value=${hit.sessionId} /></span></span>
        <span class="soft small"><${Time} ms=${hit.timestampMs} /></span>
        <span class="session-said"><${Text} value=${hit.snippet} marks=${words.replaceAll('"', " ").split(/\s+/)} /></span><//>`} />`;
}

/** What somebody types, once they pause. @param {string} value */
function useLater(value) {
  const [late, setLate] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setLate(value), 60);
    return () => clearTimeout(timer);
  }, [value]);
  return late;
}
