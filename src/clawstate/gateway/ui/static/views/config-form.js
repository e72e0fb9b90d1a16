// Config as a form: what is set, each with what it does and the file that it stands in; and what else there is.
//
// Only what somebody changed is sent, one value at a time and only over what they saw (If-Match). What the
// gateway leaves out of an answer, such as a secret, can so never be written back.

import { api } from "../core/api.js";
import { classes, html, useEffect, useId, useMemo, useRef, useState } from "../core/lib.js";
import { useKeys } from "../core/keys.js";
import { setQuery } from "../core/router.js";
import { firstValue, nodeAt, pathOf, settingsIn, stepsOf } from "../core/schema.js";
import { refresh, useQuery } from "../core/store.js";
import { Button, IconButton } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Diff } from "../parts/diff.js";
import { SearchField } from "../parts/field.js";
import { Empty, Failed, Waiting } from "../parts/small.js";
import { Text } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { SettingField } from "./config-field.js";

/**
 * What somebody wants instead: a value, or nothing with `isRemoved`.
 * @typedef {{value?: any, isRemoved?: boolean, problem?: string, etag?: Promise<string|null>, isNew?: boolean}} Draft
 */

const SHOWN = 40; // settings that are not set, until somebody asks more exactly

/** @param {{query: Record<string, any>}} props */
export default function Form({ query }) {
  const schema = useQuery("config schema", (signal) => api.get("config/schema", { signal }));
  const found = useQuery("config settings", (signal) => api.get("config/settings", { signal }), { parts: ["config"] });
  const [drafts, setDrafts] = useState(/** @type {Map<string, Draft>} */ (new Map()));
  const [isReview, setReview] = useState(false);
  const field = useRef(/** @type {HTMLInputElement|null} */ (null));
  const all = useMemo(() => (schema.data ? settingsIn(schema.data) : []), [schema.data]);
  const isChanged = drafts.size > 0;
  useEffect(() => {
    if (!isChanged) return undefined;
    const ask = (event) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [isChanged]);
  const isSound = [...drafts.values()].every((each) => !each.problem);
  useKeys("Config", {
    "/": ["Find a setting", () => field.current?.select()],
    ...(isChanged && isSound ? { "Ctrl+s": ["See what changes, and save", () => setReview(true)] } : {}),
  });
  const failed = found.error ?? schema.error;
  if (!found.data || !schema.data) return failed ? html`<${Failed} error=${failed} again=${found.data ? schema.refresh : found.refresh} />` : html`<${Waiting} />`;

  const change = (path, /** @type {Draft|null} */ draft) => setDrafts((now) => {
    const next = new Map(now);
    const before = now.get(path);
    if (!draft) next.delete(path);
    // What it is changed from is what was shown when somebody began.
    else next.set(path, { ...draft, isNew: before?.isNew ?? draft.isNew, etag: before?.etag ?? versionOf(path) });
    return next;
  });
  const words = String(query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (path, node) => words.every((each) => path.toLowerCase().includes(each) || (node?.description ?? "").toLowerCase().includes(each));
  const set = new Map(found.data.settings.map((each) => [each.path, each]));
  const rows = [
    ...found.data.settings,
    ...[...drafts].filter(([path]) => !set.has(path)).map(([path]) => ({ path, value: undefined, isSecret: false, template: null })),
  ].map((each) => ({ ...each, node: nodeAt(schema.data, stepsOf(each.path)) })).filter((each) => drafts.has(each.path) || fits(each.path, each.node));
  const sections = grouped(rows);
  const isAdding = Boolean(query.add) || words.length > 0;
  const others = isAdding ? all.filter((each) => !set.has(pathOf(each.steps)) && !drafts.has(pathOf(each.steps)) && fits(pathOf(each.steps), each.node)) : [];
  return html`<div class="stack"><div class="config-tools">
      <${SearchField} label="Find a setting" input=${field} value=${query.q ?? ""} placeholder=${`Find one of ${all.length} settings`}
        onInput=${(text) => setQuery({ q: text }, { replace: true })} />
      <${Button} icon="plus" aria-pressed=${Boolean(query.add)} onClick=${() => {
        setQuery({ add: query.add ? "" : "1" });
        field.current?.focus();
      }}>${query.add ? "Only what is set" : "Add a setting"}<//></div>
    ${!rows.length && !isAdding && html`<${Empty} icon="sliders" title="Nothing is set: all has its default" command="clawstate config set gateway.port 18790" />`}
    ${[...sections].map(([name, each]) => html`<section key=${name} class="config-section"><h2><${Text} value=${name} /></h2>
      ${schema.data.properties[name]?.description && html`<p class="soft small">${schema.data.properties[name].description}</p>`}
      ${each.map((setting) => html`<${Row} key=${setting.path} setting=${setting} draft=${drafts.get(setting.path)}
        onDraft=${(draft) => change(setting.path, draft)} />`)}</section>`)}
    ${isAdding && html`<section class="config-section"><h2>Not set</h2>
      ${others.slice(0, SHOWN).map((each) => html`<${Other} key=${pathOf(each.steps)} setting=${each} onSet=${(path) =>
        change(path, { value: firstValue(each.node), isNew: true })} />`)}
      <p class="soft small">${others.length > SHOWN ? `${others.length - SHOWN} more: type what it is called, or what it does.`
        : !others.length && "No other setting is called so, or does that."}</p></section>`}
    ${isChanged && html`<div class="unsaved" role="status"><span>${drafts.size === 1 ? "One change" : `${drafts.size} changes`}, not saved yet</span>
      <${Button} onClick=${() => setDrafts(new Map())}>Discard<//>
      <${Button} kind="primary" disabled=${!isSound} onClick=${() => setReview(true)}>See what changes<//></div>`}
    ${isReview && isChanged && html`<${Review} drafts=${drafts} settings=${set} file=${found.data.file} onClose=${() => setReview(false)}
      onProblem=${(path, problem) => {
        setReview(false);
        setDrafts((now) => new Map([...now].map(([each, draft]) => [each, each === path ? { ...draft, problem } : draft])));
      }} onSaved=${(path) => change(path, null)} />`}</div>`;
}

/** The version of a value that is shown, for If-Match; `null` where there is none yet. @param {string} path */
const versionOf = (path) => api.ask("GET", "config/value", { query: { path } }).then((found) => found.etag, () => null);

function grouped(rows) {
  const found = new Map();
  for (const each of rows) {
    const name = String(stepsOf(each.path)[0]);
    found.set(name, [...(found.get(name) ?? []), each]);
  }
  return found;
}

function Row({ setting, draft, onDraft }) {
  const id = useId();
  const { path, node } = setting;
  const isRemoved = draft?.isRemoved === true;
  const value = draft && !isRemoved ? draft.value : setting.value ?? undefined;
  return html`<div class=${classes("setting", draft && "changed", isRemoved && "removed", draft?.problem && "wrong")}>
    <div class="setting-told"><code><${Text} value=${path} /></code>
      ${setting.file && html`<span class="soft small mono place" title="Where it is written"><${Text} value=${setting.file} />:${setting.line}</span>`}
      <p id=${id} class="soft small">${node?.description ?? "No setting that is known here."}
        ${node?.default !== undefined && node.default !== null && html` <span class="default">Default: <code>${shortly(node.default)}</code></span>`}
        ${setting.template && html` <span>From <code><${Text} value=${setting.template} /></code></span>`}</p>
      ${draft?.problem && html`<p class="error small" role="alert"><${Text} value=${draft.problem} /></p>`}</div>
    <div class="setting-field">${isRemoved ? html`<span class="soft">will have its default</span>`
      : html`<${SettingField} label=${path} node=${node} value=${value} isSecret=${setting.isSecret} template=${draft ? null : setting.template}
          describedBy=${id} onChange=${(to, problem = "") => onDraft(isSame(to, setting) && !draft?.isNew ? null : { value: to, problem })} />`}
      ${draft ? html`<${IconButton} icon="undo" label=${`Leave ${path} as it is`} onClick=${() => onDraft(null)} />`
        : html`<${IconButton} icon="trash" label=${`Remove ${path}`} onClick=${() => onDraft({ isRemoved: true })} />`}</div></div>`;
}

const isSame = (value, setting) => (setting.isSecret ? value === undefined || value === "" : JSON.stringify(value) === JSON.stringify(setting.value));

/** One that is not set. A name that is free to choose is asked for. */
function Other({ setting, onSet }) {
  const { steps, node } = setting;
  const [names, setNames] = useState(/** @type {string[]} */ ([]));
  const free = steps.filter((each) => each === null).length;
  let at = 0;
  const path = pathOf(steps.map((each) => (each === null ? names[at++]?.trim() || null : each)));
  const isNamed = names.filter((each) => each?.trim()).length === free;
  return html`<div class="setting other"><div class="setting-told"><code>${path.replaceAll(".*", ".…")}</code>
      <p class="soft small">${node.description} ${node.default !== undefined && node.default !== null && html`<span class="default">Default: <code>${shortly(node.default)}</code></span>`}</p></div>
    <div class="setting-field">${Array.from({ length: free }, (_, index) => html`<input aria-label=${`Name in ${pathOf(steps)}`} placeholder="name"
        value=${names[index] ?? ""} onInput=${(event) => setNames(Object.assign([...names], { [index]: event.currentTarget.value }))} />`)}
      <${Button} size="small" disabled=${!isNamed} aria-label=${`Set ${path}`} onClick=${() => onSet(path)}>Set<//></div></div>`;
}

/** What changes, before it is saved; each value goes by itself. */
function Review({ drafts, settings, file, onClose, onProblem, onSaved }) {
  const line = (path, value, isSecret) => `${path}: ${isSecret ? "(a secret, not shown)" : JSON.stringify(value, null, 2)}`;
  const before = [...drafts.keys()].filter((path) => settings.has(path)).map((path) => {
    const { value, template, isSecret } = settings.get(path);
    return line(path, template ?? value, isSecret && !template);
  });
  const after = [...drafts].filter(([, draft]) => !draft.isRemoved).map(([path, { value }]) => {
    const isSecret = settings.get(path)?.isSecret ?? /(?:token|password|secret|key)$/i.test(path);
    return isSecret && typeof value === "string" ? `${path}: ${value.startsWith("${") ? value : "(another secret, not shown)"}` : line(path, value, false);
  });
  const files = [...new Set([...drafts.keys()].map((path) => settings.get(path)?.file ?? file))];
  const save = async () => {
    const numbers = /** @type {number[]} */ ([]);
    for (const [path, { value, isRemoved, etag }] of drafts) {
      const options = { ifMatch: await etag };
      try {
        const done = isRemoved ? await api.del("config/value", { query: { path }, ...options })
          : await api.put("config/value", { path, value }, options);
        if (done.change) numbers.push(done.change.number);
        onSaved(path);
      } catch (error) {
        const { type, message } = /** @type {import("../core/api.js").ApiError} */ (error);
        onProblem(path, type === "changed" ? "Somebody changed it meanwhile: leave it as it is now, or discard and begin again." : message);
        break;
      }
    }
    refresh("config");
    if (!numbers.length) return;
    onClose();
    toast("Saved", { undo: async () => {
      for (const number of numbers.reverse()) await api.post("config/undo", { number });
    } });
  };
  return html`<${Dialog} wide title="What changes" onClose=${onClose} actions=${html`
      <${Button} onClick=${onClose}>Back<//><${Button} kind="primary" onClick=${save}>Save<//>`}>
    <p class="soft small">In <${Text} class="mono" value=${files.join(", ")} />; comments and all else stay as they are.</p>
    <${Diff} before=${before.join("\n")} after=${after.join("\n")} labels=${["Now", "Then"]} /><//>`;
}

const shortly = (value) => {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};
