// One conversation: its messages as they were said, what was remembered of them, its branches.

import { api, ask, can, everything, segment } from "../core/api.js";
import { save, toCsv } from "../core/csv.js";
import { bytes, count, plainly } from "../core/format.js";
import { html, useEffect, useMemo, useRef, useState } from "../core/lib.js";
import { useKeys } from "../core/keys.js";
import { Link, navigate, setQuery } from "../core/router.js";
import { useQuery } from "../core/store.js";
import { VirtualList } from "../core/virtual.js";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Field } from "../parts/field.js";
import { Menu } from "../parts/menu.js";
import { Empty, Failed, Time, Waiting } from "../parts/small.js";
import { Text } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { Message, wordsOf } from "./sessions-message.js";
import { branchesOf, pathTo } from "./sessions-branches.js";
import { usePart } from "./sessions-window.js";

export function Reader({ id, query }) {
  const place = `/sessions/${encodeURIComponent(id)}`;
  const part = usePart(id, query.m);
  const state = part.state.value;
  const marks = useMemo(() => (query.q ?? "").replaceAll('"', " ").split(/\s+/).filter(Boolean), [query.q]);
  const born = useBorn(id);
  const tree = useMemo(() => branchesOf(state.items), [state.items]);
  const shown = useMemo(() => (query.branch && tree.byId.has(query.branch) ? pathTo(tree, query.branch) : state.items), [tree, query.branch]);
  const [jump, setJump] = useState(/** @type {any} */ (undefined));
  const wanted = useRef(""), latest = useRef(shown);
  latest.current = shown;

  useEffect(() => {
    if (!state.isLoaded || !shown.length || wanted.current === (query.m ?? "end")) return;
    wanted.current = query.m ?? "end";
    const meant = query.m && shown.some((each) => each.id === query.m) ? query.m : shown.at(-1).id;
    const go = () => setJump({ index: latest.current.findIndex((each) => each.id === meant), focus: Boolean(query.m) });
    go();
    // Again when the rows are measured, and those before them are there: until then heights are guesses.
    const again = () => (query.m ? latest.current.length && go() : scrollTo(0, document.documentElement.scrollHeight));
    for (const later of [120, 400, 800]) setTimeout(again, later);
  }, [state.isLoaded, shown]);
  useEffect(() => {
    // Who reads the end goes on with it; who reads elsewhere is only told.
    if (state.fresh && isAtEnd()) toLast();
  }, [state.fresh]);

  const toLast = async () => {
    if (part.state.value.hasBehind) await part.toEnd();
    part.seen();
    setJump({ index: part.state.value.items.length - 1, focus: false });
  };
  useKeys("This session", {
    u: ["Back to all sessions", () => navigate("/sessions")],
    ".": ["The newest message", toLast],
  });

  const isPartial = state.isLoaded && (state.hasBefore || state.hasBehind);
  const isEmpty = state.isLoaded && !state.items.length && !state.error;
  return html`<${Head} id=${id} />
    ${state.error && html`<${Failed} error=${state.error} again=${part.begin} />`}
    ${state.isMissing && html`<div class="notice warn" role="status"><div>The message that this link leads to is not there any more: here is the end.</div></div>`}
    <${Born} records=${born} place=${place} />
    ${(tree.leaves.length > 1 || isPartial) && html`<${Branches} tree=${tree} query=${query} part=${isPartial && part} size=${state.items.length} />`}
    ${!state.isLoaded && html`<${Waiting} lines=${8} />`}
    ${isEmpty && html`<${Empty} icon="chat" title="Nothing was said yet" command=${`clawstate transcripts append ${id} '[{"role": "user", "content": "Hello"}]'`}>
      Messages appear here as they are said.<//>`}
    ${shown.length > 0 && html`<${VirtualList} label="Messages" items=${shown} keyOf=${(each) => each.id} estimate=${110} jump=${jump}
      onStart=${state.hasBefore ? part.older : null} onEnd=${state.hasBehind ? part.newer : null}
      render=${(each, index) => html`<${Message} message=${each} place=${place} marks=${marks} isMeant=${each.id === query.m}
        follows=${index > 0 && each.parentId && each.parentId !== shown[index - 1].id ? each.parentId : ""}
        forks=${tree.children.get(each.id)?.length ?? 0} born=${born.byMessage.get(each.id)} />`} />`}
    ${(state.fresh > 0 || state.hasBehind) && html`<div class="to-end"><${Button} kind="primary" icon="down" onClick=${toLast}>
      ${state.fresh > 0 ? `${count(state.fresh)} new` : "To the newest"}<//></div>`}`;
}

const isAtEnd = () => innerHeight + scrollY > document.documentElement.scrollHeight - 260;

function useBorn(id) {
  const found = useQuery(`born/${id}`, (signal) => api.get(`transcripts/memories/${segment(id)}`, { query: { limit: 500 }, signal }), { parts: ["memory"] });
  const all = found.data?.records;
  return useMemo(() => {
    const byMessage = new Map();
    for (const each of all ?? []) {
      const message = each.metadata.captured?.message;
      if (message) byMessage.set(message, [...(byMessage.get(message) ?? []), each]);
    }
    return { all: all ?? [], byMessage, hasMore: Boolean(found.data?.next) };
  }, [all]);
}

const Born = ({ records, place }) => records.all.length > 0 && html`<details class="card born"><summary><b>${`${count(records.all.length)}${records.hasMore ? "+" : ""} ${records.all.length === 1 ? "memory" : "memories"} born here`}</b></summary>
  <ul>${records.all.map((each) => html`<li key=${each.id}><${Link} to=${`/memory/${encodeURIComponent(each.id)}`}><${Text} value=${each.text.slice(0, 300)} /><//>
    ${each.metadata.captured?.message && html`<${Link} class="small soft" to=${place} query=${{ m: each.metadata.captured.message }}>where it was said<//>`}</li>`)}</ul></details>`;

/** `part`: where only a part of the messages is here, which may have more branches. */
function Branches({ tree, query, part, size }) {
  const [isOpen, setOpen] = useState(Boolean(query.branch));
  const many = tree.leaves.length;
  return html`<details class="card born" open=${isOpen} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary><b>${many > 1 ? `${count(many)} branches` : "Branches"}</b>
      <span class="soft small">${part ? `of the ${count(size)} messages that are loaded` : "the conversation was taken up again at an earlier message"}</span></summary>
    ${part && html`<p class="line small">Earlier or later messages may have others. <${Button} size="small" onClick=${() => loadAll(part)}>Load all messages<//></p>`}
    ${many > 1 && html`<ul><li><button type="button" class="quiet small" aria-pressed=${!query.branch} onClick=${() => setQuery({ branch: "", m: "" })}>All, as they were said</button></li>
      ${tree.leaves.map((leaf) => html`<li key=${leaf.id}><button type="button" class="quiet small" aria-pressed=${query.branch === leaf.id}
        onClick=${() => setQuery({ branch: leaf.id, m: "" })}>${count(pathTo(tree, leaf.id).length)} messages</button>
        <span class="soft small">ends <${Time} ms=${leaf.timestampMs} /> with “<${Text} value=${(wordsOf(leaf) || leaf.type).slice(0, 80)} />”</span></li>`)}</ul>`}</details>`;
}

/** Loads what is missing at both ends; stops where nothing comes, as without a network. */
async function loadAll(part) {
  for (const [has, ask] of /** @type {const} */ ([["hasBefore", part.older], ["hasBehind", part.newer]])) {
    for (let size = -1; part.state.value[has] && part.state.value.items.length > size;) {
      size = part.state.value.items.length;
      await ask();
    }
  }
}

function Head({ id }) {
  const info = useQuery(`transcripts/info/${id}`, (signal) => api.get(`transcripts/info/${segment(id)}`, { signal })
    .catch((error) => (error.type === "not_found" ? null : Promise.reject(error))), { parts: ["transcripts"] });
  const entry = useQuery(`session/${id}`, async (signal) => (await api.get("sessions", { query: { q: id, limit: 20 }, signal }))
    .sessions.find((each) => each.sessionId === id) ?? null, { parts: ["sessions"] });
  const [isNaming, setNaming] = useState(false);
  const kept = entry.data, title = kept?.label ?? kept?.key ?? id;
  useEffect(() => {
    document.title = `${plainly(title).slice(0, 80)} · clawstate`;
  }, [title]);
  const remove = async () => {
    await api.del(`sessions/entries/${segment(kept.key)}`);
    navigate("/sessions");
    toast("The session went to the archive", { undo: () => api.post("sessions/restore", { name: kept.key }) });
  };
  return html`<div class="head"><div class="session-title"><${Link} to="/sessions" class="small">← Sessions<//>
      <h1><${Text} value=${title} /></h1></div>
    <div class="actions">${kept && html`<${Button} scope="write" icon="edit" onClick=${() => setNaming(true)}>Rename<//>`}
      <${Menu} label="Export" icon="download" items=${[
        { title: "JSON Lines", icon: "file", run: () => exportAs(id, "jsonl") },
        { title: "Markdown", icon: "file", run: () => exportAs(id, "md") },
        { title: "CSV", icon: "file", run: () => exportAs(id, "csv") },
      ]} />
      ${kept && can("write") && html`<${Menu} label="More" items=${[{ title: "Move to the archive", icon: "trash", kind: "danger", scope: "write", run: remove }]} />`}</div></div>
    <p class="session-facts soft small">${kept && html`<${Text} value=${kept.label ? kept.key : id} />`}
      ${info.data && html`<span>${count(info.data.count)} messages, ${bytes(info.data.bytes)}</span>
        <span>begun <${Time} ms=${info.data.createdAtMs} /></span><span>changed <${Time} ms=${info.data.updatedAtMs} /></span>`}</p>
    ${isNaming && html`<${Rename} entry=${kept} onClose=${() => setNaming(false)} />`}`;
}

function Rename({ entry, onClose }) {
  const [label, setLabel] = useState(entry.label ?? "");
  const path = `sessions/entries/${segment(entry.key)}`;
  const keep = async () => {
    const { etag } = await ask("GET", path);
    await api.patch(path, { label: label.trim() }, { ifMatch: etag });
    onClose();
    toast("Renamed", { undo: () => api.patch(path, { label: entry.label ?? "" }) });
  };
  return html`<${Dialog} title="Rename this session" onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>Cancel<//>
      <${Button} kind="primary" type="submit" form="rename">Rename<//>`}>
    <form id="rename" onSubmit=${(event) => {
      event.preventDefault();
      return keep();
    }}><${Field} label="Label" hint="Its key stays: programs find it by that.">
      <input value=${label} dir="auto" autofocus onInput=${(event) => setLabel(event.currentTarget.value)} /><//></form><//>`;
}

/** @param {string} id @param {"jsonl"|"md"|"csv"} form */
async function exportAs(id, form) {
  const all = (await everything(`transcripts/messages/${segment(id)}`, "messages", { query: { limit: 1000 } })).reverse();
  const name = `session-${id.replace(/[^\w-]+/g, "_").slice(0, 60)}`;
  if (form === "jsonl") return save(`${name}.jsonl`, "application/x-ndjson", all.map((each) => `${JSON.stringify(each)}\n`).join(""));
  if (form === "csv") {
    return save(`${name}.csv`, "text/csv", toCsv([["id", "id"], ["parent", "parentId"], ["time", "timestamp"], ["type", "type"], ["role", "role"], ["text", wordsOf]], all));
  }
  const said = all.filter((each) => each.role).map((each) => `## ${each.role}, ${each.timestamp}\n\n${wordsOf(each) || "(no words)"}\n`);
  return save(`${name}.md`, "text/markdown", `# ${plainly(id)}\n\n${said.join("\n")}`);
}
