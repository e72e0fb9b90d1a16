// One memory, whole: its text to edit, where it comes from, what it was, and what may become of it.

import { api, ApiError, ask, can, segment } from "../core/api.js";
import { onChange } from "../core/events.js";
import { html, useEffect, useRef, useState } from "../core/lib.js";
import { navigate, route } from "../core/router.js";
import { Button } from "../parts/button.js";
import { Copy } from "../parts/copy.js";
import { confirm, Dialog } from "../parts/dialog.js";
import { Diff } from "../parts/diff.js";
import { Field } from "../parts/field.js";
import { Menu } from "../parts/menu.js";
import { Badge, Facts, Failed, Time, Waiting } from "../parts/small.js";
import { Block, Code, Text } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { History } from "./memory-history.js";
import { forgetWithUndo } from "./memory-forget.js";
import { Receipt } from "./memory-receipt.js";
import { Why } from "./memory-why.js";

export default function Detail({ id, query, demands, onClose }) {
  const [state, setState] = useState({ record: /** @type {any} */ (null), etag: /** @type {string|null} */ (null), error: /** @type {any} */ (null) });
  const [mode, setMode] = useState(""); // "", "edit", "supersede" or "going"
  const [receipt, setReceipt] = useState(/** @type {any} */ (null));
  const load = async () => {
    try {
      const { data, etag } = await ask("GET", `memory/records/${segment(id)}`);
      setState({ record: data, etag, error: null });
    } catch (error) {
      setState((now) => ({ ...now, error }));
    }
  };
  useEffect(() => {
    load();
    return onChange(["memory", "*"], ({ keys }) => {
      if ((!keys || keys.includes(id)) && !isHeld.current) load();
    });
  }, [id]);
  // While somebody writes, or it is being forgotten, what is beneath stays as it is.
  const isHeld = useRef(false);
  isHeld.current = mode !== "";
  const { record } = state;
  if (receipt) return html`<${Receipt} receipt=${receipt} onClose=${onClose} />`;
  const going = async (work) => {
    setMode("going");
    try {
      return await work();
    } catch (error) {
      setMode("");
      throw error;
    }
  };
  const forget = async () => {
    await going(() => forgetWithUndo(record));
    onClose();
  };
  const forgetForGood = async () => {
    const yes = await confirm({
      title: "Forget it for good?",
      text: "Its text, its vector, its words and what it was before are cleared from the disk at once. You get a receipt. This cannot be undone.",
      action: "Forget for good",
    });
    if (!yes) return;
    const path = `memory/records/${segment(id)}`;
    const found = await going(() => api.del(path, { query: { receipt: true }, ifMatch: state.etag }));
    setReceipt(found.receipt);
  };
  const actions = record && mode === "" && html`
    <${Menu} label="More" icon="more" items=${[
      { title: "Put another in its place", icon: "replace", scope: "write", run: () => setMode("supersede") },
      { title: "Forget for good, with a receipt", icon: "trash", kind: "danger", scope: "write", run: forgetForGood },
    ]} />
    <${Button} kind="danger" icon="trash" scope="write" onClick=${forget}>Forget<//>
    <${Button} kind="primary" icon="edit" scope="write" onClick=${() => setMode("edit")}>Edit<//>`;
  return html`<${Dialog} title=${record?.title ? html`<${Text} value=${record.title} />` : "Memory"} side class="detail" onClose=${onClose}
      actions=${actions && can("write") ? actions : null}>
    ${state.error && html`<${Gone} error=${state.error} again=${load} />`}
    ${(mode === "going" || (!record && !state.error)) && html`<${Waiting} lines=${6} />`}
    ${record && mode === "edit" && html`<${Edit} record=${record} etag=${state.etag} onDone=${(changed) => {
      setMode("");
      if (changed) load();
    }} />`}
    ${record && mode === "supersede" && html`<${Supersede} record=${record} onDone=${() => setMode("")} />`}
    ${record && mode === "" && html`<${Shown} record=${record} query=${query} demands=${demands} />`}
  <//>`;
}

function Gone({ error, again }) {
  if (error.type !== "not_found") return html`<${Failed} error=${error} again=${again} />`;
  return html`<div class="notice warn"><div>This memory is not kept any more. It was forgotten, archived, or another took its place.</div></div>`;
}

function Shown({ record, query, demands }) {
  const told = record.metadata?.captured;
  const { captured, heading, start_line: first, end_line: last, ...rest } = record.metadata ?? {};
  return html`<${Block} class="detail-text" value=${record.text} />
    ${query && html`<${Why} record=${record} query=${query} demands=${demands} />`}
    <section><h3>Where it comes from</h3>
      ${!record.source && !told && html`<p class="soft">It was written down by hand or by a program: no file and no message is known.</p>`}
      <${Facts} of=${[
        ["Source", record.source && html`<span class="line"><${Text} value=${record.source} /><${Copy} value=${record.source} label="Copy the path" /></span>`],
        ["Lines", first && (last && last !== first ? `${first} to ${last}` : String(first))],
        ["Under", record.headings.length > 0 && html`<${Text} value=${record.headings.join(" › ")} />`],
        ["Said by", told && html`<${Text} value=${told.who} /> <${Badge} kind=${told.origin === "untrusted" ? "warn" : ""}>${told.origin}<//>`],
        ["Message", told?.session && html`<${ToMessage} told=${told} />`],
        ["Thread", record.thread && record.thread !== record.source && html`<${Text} value=${record.thread} />`],
      ]} /></section>
    <section><h3>What is known about it</h3>
      <${Facts} of=${[
        ["Tags", record.tags.length > 0 && html`<span class="line">${record.tags.map((each) => html`<${Badge} key=${each}><${Text} value=${each} /><//>`)}</span>`],
        ["Category", record.category],
        ["Importance", String(record.importance)],
        ["Namespace", html`<${Text} value=${record.namespace} />`],
        ["Made", html`<${Time} ms=${record.createdAtMs} />`],
        ["Changed", record.updatedAtMs !== record.createdAtMs && html`<${Time} ms=${record.updatedAtMs} />`],
        ["Ends", record.expiresAtMs && html`<${Time} ms=${record.expiresAtMs} />`],
        ["Id", html`<span class="line mono"><${Text} value=${record.id} /><${Copy} value=${record.id} label="Copy the id" /></span>`],
      ]} />
      ${Object.keys(rest).length > 0 && html`<details><summary>Metadata</summary><${Code} value=${JSON.stringify(rest, null, 2)} /></details>`}
    </section>
    <${History} id=${record.id} />`;
}

const ToMessage = ({ told }) => html`<button type="button" class="quiet" onClick=${() =>
  navigate(`/sessions/${segment(told.session)}`, { m: told.message })}>Go to the message</button>`;

/** The text and tags, to be written anew; somebody else's change meanwhile is shown, not lost. */
function Edit({ record, etag, onDone }) {
  const [given, setGiven] = useState({ text: record.text, title: record.title ?? "", tags: record.tags.join(", ") });
  const [theirs, setTheirs] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const base = useRef({ record, etag });
  const set = (name) => (event) => setGiven({ ...given, [name]: event.currentTarget.value });
  const save = async (event) => {
    event?.preventDefault();
    setProblem(null);
    const changes = changesOf(base.current.record, given);
    if (!Object.keys(changes).length) return onDone(false);
    const path = `memory/records/${segment(record.id)}`;
    let saved;
    try {
      saved = await ask("PATCH", path, { body: changes, ifMatch: base.current.etag });
    } catch (error) {
      if (!(error instanceof ApiError) || error.type !== "changed") return setProblem(error);
      const { data, etag: now } = await ask("GET", path);
      base.current = { record: data, etag: now };
      return setTheirs(data);
    }
    const before = base.current.record;
    const undone = Object.fromEntries(Object.keys(changes).map((name) => [name, before[name]]));
    // Only what was saved here is taken back: whoever wrote after it is not overwritten.
    const ifMatch = saved.etag ?? (await ask("GET", path)).etag;
    toast("Saved", { undo: () => api.patch(path, undone, { ifMatch }) });
    onDone(true);
  };
  return html`<form class="stack" onSubmit=${save} onKeyDown=${(event) => (event.ctrlKey || event.metaKey) && event.key === "Enter" && save(event)}>
    ${problem && html`<${Failed} error=${problem} />`}
    ${theirs && html`<div class="stack"><div class="notice warn"><div>Somebody changed it while you wrote. Save again to keep yours, or take theirs.</div></div>
      <${Diff} before=${theirs.text} after=${given.text} labels=${["Theirs", "Yours"]} />
      <div><${Button} onClick=${() => setGiven({ text: theirs.text, title: theirs.title ?? "", tags: theirs.tags.join(", ") })}>Take theirs<//></div></div>`}
    <${Field} label="Text"><textarea rows="10" dir="auto" autofocus value=${given.text} onInput=${set("text")}></textarea><//>
    <${Field} label="Title"><input dir="auto" value=${given.title} onInput=${set("title")} /><//>
    <${Field} label="Tags" hint="with commas between"><input dir="auto" value=${given.tags} onInput=${set("tags")} /><//>
    <div class="line"><${Button} kind="primary" type="submit">Save<//><${Button} onClick=${() => onDone(false)}>Cancel<//>
      <span class="soft small"><kbd>Ctrl</kbd> <kbd>Enter</kbd> saves</span></div>
  </form>`;
}

/** Only what was changed here is sent. */
function changesOf(record, given) {
  const tags = given.tags.split(",").map((each) => each.trim()).filter(Boolean);
  return {
    ...(given.text !== record.text && { text: given.text }),
    ...(given.title !== (record.title ?? "") && { title: given.title || null }),
    ...(tags.join("\n") !== record.tags.join("\n") && { tags }),
  };
}

function Supersede({ record, onDone }) {
  const [text, setText] = useState(record.text);
  const save = async () => {
    const made = await api.post("memory/supersede", { old: record.id, new: text });
    toast("Another is in its place; this one stays in the history");
    navigate(`/memory/${segment(made.id)}`, route.value.query);
  };
  return html`<div class="stack"><p class="soft">The new memory takes the place of this one in searches. What it was stays to be looked at, as of a day before.</p>
    <${Field} label="What is so now"><textarea rows="8" dir="auto" autofocus value=${text} onInput=${(event) => setText(event.currentTarget.value)}></textarea><//>
    <${Diff} before=${record.text} after=${text} labels=${["Was", "Is now"]} />
    <div class="line"><${Button} kind="primary" disabled=${!text.trim() || text === record.text} onClick=${save}>Put in its place<//>
      <${Button} onClick=${onDone}>Cancel<//></div></div>`;
}
