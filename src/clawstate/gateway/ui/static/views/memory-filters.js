// Which memories are meant: chips that stand in the address, and a menu of fields that adds one.

import { day } from "../core/format.js";
import { html, useState } from "../core/lib.js";
import { list, setQuery } from "../core/router.js";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Choice, Field } from "../parts/field.js";
import { Chip } from "../parts/small.js";

const NAMES = ["tag", "source", "origin", "ns", "since", "until", "asof", "mode"];
const ORIGINS = { owner: "yours", agent: "of the agent", untrusted: "of others" };
const MODES = { words: "words alone", vector: "meaning alone" };

export const hasFilters = (query) => NAMES.some((each) => list(query[each]).length);

/** A day of a date field, as the moment at which it begins here. */
const moment = (text) => (text ? new Date(`${text}T00:00:00`).getTime() / 1000 : undefined);

/** The end of that day. */
const evening = (text) => (text ? moment(text) + 86_400 : undefined);

/** The demands of an address as `memory/search` takes them. */
export function demandsOf(query) {
  const found = /** @type {Record<string, any>} */ ({});
  if (query.tag) found.tags = list(query.tag);
  if (query.source) found.source = query.source;
  if (query.origin) found.where = { "captured.origin": query.origin };
  if (query.ns) found.namespace = query.ns === "*" ? null : query.ns;
  if (query.since) found.since = moment(query.since);
  if (query.until) found.until = evening(query.until);
  if (query.asof) found.asOf = evening(query.asof);
  if (query.mode) found.mode = query.mode;
  return found;
}

/** The same as `memory/records` takes them. */
export const listQuery = (query) => ({
  tag: list(query.tag), source: query.source, origin: query.origin,
  namespace: query.ns && query.ns !== "*" ? query.ns : undefined, everywhere: query.ns === "*" || undefined,
  since: moment(query.since), until: evening(query.until), limit: 100,
});

export function Filters({ query }) {
  const [isOpen, setOpen] = useState(false);
  const off = (name, value) => () => setQuery({ [name]: list(query[name]).filter((each) => each !== value) });
  const told = (name, value) => ({
    origin: () => ORIGINS[value], mode: () => MODES[value], ns: () => (value === "*" ? "all" : value),
    since: () => day(moment(value) * 1000), until: () => day(moment(value) * 1000), asof: () => day(moment(value) * 1000),
  })[name]?.() ?? value;
  const label = { ns: "namespace", asof: "as of", mode: "by" };
  return html`<div class="line chips" role="group" aria-label="Filters">
    <${Button} size="small" icon="filter" onClick=${() => setOpen(true)}>Filter<//>
    ${NAMES.flatMap((name) => list(query[name]).map((value) => html`<${Chip} key=${name + value} label=${label[name] ?? name}
      value=${told(name, value)} onRemove=${off(name, value)} />`))}
    ${isOpen && html`<${Form} query=${query} onClose=${() => setOpen(false)} />`}
  </div>`;
}

function Form({ query, onClose }) {
  const [given, setGiven] = useState(Object.fromEntries(NAMES.map((each) => [each, list(query[each]).join(", ")])));
  const set = (name) => (value) => setGiven({ ...given, [name]: value });
  const field = (name, label, hint, type = "text") => html`<${Field} label=${label} hint=${hint}>
    <input type=${type} value=${given[name]} onInput=${(event) => set(name)(event.currentTarget.value)} autocomplete="off" dir="auto" /><//>`;
  const apply = (event) => {
    event.preventDefault();
    const tags = given.tag.split(",").map((each) => each.trim()).filter(Boolean);
    onClose();
    setQuery({ ...given, tag: tags });
  };
  return html`<${Dialog} title="Which memories" onClose=${onClose} actions=${html`
    <${Button} onClick=${() => {
      onClose();
      setQuery(Object.fromEntries(NAMES.map((each) => [each, null])));
    }}>Without filters<//>
    <${Button} kind="primary" type="submit" form="memory-filters">Apply<//>`}>
    <form id="memory-filters" class="form-grid" onSubmit=${apply}>
      ${field("tag", "Tags", "all of them, with commas between")}
      ${field("source", "Source", "a file, a folder, or a pattern such as *.md")}
      ${field("since", "Made since", null, "date")}
      ${field("until", "Made until", null, "date")}
      <${Choice} label="Whose words" value=${given.origin} onChange=${set("origin")}
        options=${[["", "anybody's"], ...Object.entries(ORIGINS)]} />
      <${Choice} label="Found by" value=${given.mode} onChange=${set("mode")}
        options=${[["", "words and meaning"], ...Object.entries(MODES)]} />
      ${field("ns", "Namespace", "* for all of them")}
      ${field("asof", "As of", "ask the memory as it was at the end of that day", "date")}
    </form>
  <//>`;
}
