// Config: a form of what is set, the text of the file with what is wrong in it, and what was changed.

import { api } from "../core/api.js";
import { html, useEffect, useRef, useState } from "../core/lib.js";
import { useKeys } from "../core/keys.js";
import { setQuery } from "../core/router.js";
import { refresh, useQuery } from "../core/store.js";
import { Button } from "../parts/button.js";
import { confirm, Dialog } from "../parts/dialog.js";
import { Diff } from "../parts/diff.js";
import { Empty, Failed, Time, Waiting } from "../parts/small.js";
import { Tabs } from "../parts/tabs.js";
import { Block, Text } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import Form from "./config-form.js";

/** @param {{query: Record<string, any>}} props */
export default function Config({ query }) {
  const tab = query.tab || "form";
  const tabs = /** @type {[string, any][]} */ ([["form", "Form"], ["text", "Text"], ["history", "History"]]);
  const issues = useQuery("config issues", (signal) => api.get("config/issues", { signal }), { parts: ["config"] });
  const found = [...(issues.data?.issues ?? []), ...(issues.data?.warnings ?? [])];
  return html`<div class="head"><div><h1>Config</h1><p class="lead">What is not set here has its default.</p></div></div>
    ${issues.error && html`<${Failed} error=${issues.error} again=${issues.refresh} />`}
    ${found.map((each) => html`<div class="notice warn"><div><b><${Text} value=${each.path} /></b> <${Text} value=${each.message} />
      ${each.hint && html`; <${Text} value=${each.hint} />`} ${each.line && html`<span class="soft">line ${each.line}</span>`}</div></div>`)}
    <${Tabs} label="Config" value=${tab} tabs=${tabs} onChange=${(each) => setQuery({ tab: each === "form" ? "" : each, q: "", add: "" })} />
    ${tab === "history" ? html`<${History} />` : tab === "text" ? html`<${Editor} issues=${found} />` : html`<${Form} query=${query} />`}`;
}

/** The file as it is written, comments and all: its secrets are in it, so only an administrator sees it. */
function Editor({ issues }) {
  const kept = useQuery("config text", (signal) => api.ask("GET", "config/text", { signal }), { parts: ["config"] });
  const [draft, setDraft] = useState(/** @type {{text: string, before: string, etag: string|null}|null} */ (null));
  const [isReview, setReview] = useState(false);
  const [problem, setProblem] = useState("");
  const numbers = useRef(/** @type {HTMLElement|null} */ (null));
  const now = kept.data?.data.text ?? "";
  const text = draft?.text ?? now;
  const isChanged = draft !== null && draft.text !== draft.before;
  const isBehind = draft !== null && draft.before !== now && isChanged;
  useEffect(() => {
    if (!isChanged) return undefined;
    const ask = (event) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [isChanged]);
  const save = async () => {
    setProblem("");
    try {
      await api.put("config/text", { text, expected: draft?.before }, { ifMatch: draft?.etag });
    } catch (error) {
      setReview(false);
      setProblem(/** @type {Error} */ (error).message);
      return;
    }
    setDraft(null);
    setReview(false);
    refresh("config");
    toast("Saved", { undo: () => api.post("config/undo", {}) });
  };
  useKeys("Config", isChanged ? { "Ctrl+s": ["See what changes, and save", () => setReview(true)] } : {});
  if (!kept.data) return kept.error ? html`<${Failed} error=${kept.error} again=${kept.refresh} />` : html`<${Waiting} />`;
  const line = Number(/line (\d+)/.exec(problem)?.[1] ?? 0);
  const wrong = new Set([line, ...(isChanged ? [] : issues.map((each) => each.line))]);
  return html`<section class="stack"><p class="soft small"><${Text} class="mono" value=${kept.data.data.path} /></p>
    ${problem && html`<div class="notice bad" role="alert"><div><${Text} value=${problem} /></div></div>`}
    ${isBehind && html`<div class="notice warn"><div>Somebody changed the file meanwhile. Saving yours is refused.</div>
      <${Button} size="small" onClick=${() => setDraft({ text, before: now, etag: kept.data.etag })}>Compare with theirs<//></div>`}
    <div class="editor" dir="ltr"><div class="numbers" aria-hidden="true" ref=${numbers}>${text.split("\n").map((_, index) =>
        html`<div class=${wrong.has(index + 1) ? "wrong-line" : ""}>${index + 1}</div>`)}</div>
      <textarea aria-label="Text of the configuration" wrap="off" spellcheck=${false} autocapitalize="off" value=${text}
        aria-invalid=${Boolean(problem) || undefined}
        onScroll=${(event) => numbers.current && (numbers.current.scrollTop = event.currentTarget.scrollTop)}
        onInput=${(event) => setDraft({ before: draft?.before ?? now, etag: draft?.etag ?? kept.data.etag, text: event.currentTarget.value })}></textarea></div>
    ${isChanged && html`<div class="unsaved" role="status"><span>Not saved yet</span>
      <${Button} onClick=${() => setDraft(null)}>Discard<//><${Button} kind="primary" onClick=${() => setReview(true)}>See what changes<//></div>`}
    ${isReview && html`<${Dialog} wide title="What changes" onClose=${() => setReview(false)} actions=${html`
      <${Button} onClick=${() => setReview(false)}>Back<//><${Button} kind="primary" onClick=${save}>Save<//>`}>
      <${Diff} before=${draft?.before ?? now} after=${text} labels=${["On disk", "Yours"]} /><//>`}</section>`;
}

function History() {
  const found = useQuery("config history", (signal) => api.get("config/history", { signal }), { parts: ["config"] });
  const [shown, show] = useState(/** @type {{number: number, diff: string}|null} */ (null));
  if (!found.data) return found.error ? html`<${Failed} error=${found.error} again=${found.refresh} />` : html`<${Waiting} />`;
  const undo = async (number) => {
    if (!await confirm({ title: `Put back what was there before change ${number}?`, action: "Put back", kind: "primary" })) return;
    await api.post("config/undo", { number });
    refresh("config");
    toast("Put back; that is a change of its own");
  };
  if (!found.data.changes.length) return html`<${Empty} icon="clock" title="Nothing was changed here yet" command="clawstate config set gateway.port 18790" />`;
  return html`<ol class="changes">${found.data.changes.map((each) => html`<li key=${each.number} class="card spread"><div>
      <b><${Text} value=${each.paths.join(", ") || each.file} /></b>
      <div class="soft small"><${Time} ms=${each.atMs} /> by <${Text} value=${each.by} />${each.undoes && `, undoes ${each.undoes}`}</div></div>
      <span class="line"><${Button} size="small" onClick=${async () => show({ number: each.number,
        diff: (await api.get("config/diff", { query: { number: each.number } })).diff })}>What changed<//>
      <${Button} size="small" icon="undo" onClick=${() => undo(each.number)}>Undo<//></span></li>`)}</ol>
    ${shown && html`<${Dialog} wide title=${`Change ${shown.number}`} onClose=${() => show(null)}><pre><${Block} value=${shown.diff} /></pre><//>`}`;
}
