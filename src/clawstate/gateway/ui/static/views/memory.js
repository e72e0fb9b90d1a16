// Memory, the home: ask while you type, see why each came, mend what is wrong.
//
// In the address: q, tag (more than one), source, origin, ns ("*" for all), since, until, asof, mode;
// and /memory/<id> for one that is open.

import { api, can, everything } from "../core/api.js";
import { classes, html, useEffect, useMemo, useRef, useState } from "../core/lib.js";
import { useCommands, useKeys } from "../core/keys.js";
import { list, navigate, route, setQuery } from "../core/router.js";
import { usePages, useQuery } from "../core/store.js";
import { VirtualList } from "../core/virtual.js";
import { Button } from "../parts/button.js";
import { Download } from "../parts/download.js";
import { SearchField } from "../parts/field.js";
import { Empty, Failed, Waiting } from "../parts/small.js";
import { count } from "../core/format.js";
import { Later } from "../parts/later.js";
import { demandsOf, Filters, hasFilters, listQuery } from "./memory-filters.js";
import { Import } from "./memory-import.js";
import { forgetTheRest, forgetWithUndo } from "./memory-forget.js";
import { Hit } from "./memory-hit.js";
import { useSearch } from "./memory-search.js";

const COLUMNS = /** @type {import("../core/csv.js").Column[]} */ ([
  ["id", "id"], ["text", "text"], ["title", "title"], ["source", "source"],
  ["tags", (row) => row.tags.join(" ")], ["category", "category"], ["importance", "importance"],
  ["namespace", "namespace"], ["created", "createdAt"], ["updated", "updatedAt"],
]);

const detail = () => import("./memory-detail.js");
const add = () => import("./memory-add.js");

/** The score below which a hit has next to nothing of the question. */
const WEAK = 0.1;

export default function Memory({ params, query }) {
  const [text, setText] = useState(String(query.q ?? ""));
  const [adding, setAdding] = useState(/** @type {any} */ (null));
  const [jump, setJump] = useState(/** @type {any} */ (null));
  const input = useRef(/** @type {HTMLInputElement|null} */ (null));
  const files = useRef(/** @type {HTMLInputElement|null} */ (null));
  // The address changes from elsewhere as well: the way back, a link.
  const typed = useRef(text);
  if ((query.q ?? "") !== typed.current.trim() && (query.q ?? "") !== typed.current) {
    typed.current = String(query.q ?? "");
    setText(typed.current);
  }
  const type = (value) => {
    typed.current = value;
    setText(value);
    setShowsWeak(false);
    setQuery({ q: value }, { replace: true });
  };
  const isAsking = text.trim() !== "";
  const demands = useMemo(() => demandsOf(query), [JSON.stringify(query)]);
  const search = useSearch(isAsking ? text : "", demands);
  const pages = usePages(isAsking || demands.asOf ? null : "memory/records", "records", { query: listQuery(query), parts: ["memory"] });
  const stats = useQuery("memory/stats", (signal) => api.get("memory/stats", { signal }), { parts: ["memory"] });
  const [showsWeak, setShowsWeak] = useState(false);
  const asked = useMemo(() => ({ query: text, ...demands }), [text, demands]);
  const strong = search.hits.filter((each) => each.score >= WEAK);
  const weak = search.hits.length - strong.length;
  const items = !isAsking ? pages.items : showsWeak ? search.hits : strong;
  const open = (record) => navigate(`/memory/${encodeURIComponent(record.id)}`, query);
  const close = () => navigate("/", route.value.query);

  useEffect(forgetTheRest, []);
  useKeys("Memory", {
    "/": ["Search", () => input.current?.select()],
    n: ["Remember something", () => can("write") && setAdding({})],
    i: ["Import files", () => files.current?.click()],
  });
  useCommands([
    { id: "memory.add", title: "Remember something", hint: "add new memory", keys: "n", scope: "write", run: () => setAdding({}) },
    { id: "memory.import", title: "Import files", hint: "upload notes", keys: "i", scope: "write", run: () => files.current?.click() },
    { id: "memory.search", title: "Search memory", keys: "/", run: () => input.current?.focus() },
  ]);
  const press = (event) => {
    if (event.key === "ArrowDown" && items.length) {
      event.preventDefault();
      setJump({ index: 0 });
    } else if (event.key === "Enter" && items.length && !event.isComposing) {
      event.preventDefault();
      open(items[0]);
    } else if (event.key === "Escape" && text) {
      event.preventDefault();
      type("");
    }
  };
  const hitKeys = (event, record) => {
    if (!record || !can("write")) return;
    if (event.key === "e") open(record);
    else if (event.key === "d" || event.key === "Delete") forgetWithUndo(record);
    else return;
    event.preventDefault();
  };

  const size = stats.data?.records;
  const error = isAsking ? search.error : pages.error;
  return html`<${Import} input=${files} namespace=${query.ns && query.ns !== "*" ? String(query.ns) : "default"}>
    <div class="memory-head">
      <h1 class="hidden">Memory</h1>
      <${SearchField} label="Search the memory" input=${input} value=${text} onInput=${type} onKeyDown=${press} autofocus
        busy=${search.isBusy} placeholder=${size ? `Ask ${count(size)} memories` : "Ask your memory"} />
      <div class="memory-tools">
        <${Filters} query=${query} />
        <div class="line">
          <${Button} size="small" class="icon-only" icon="upload" scope="write" onClick=${() => files.current?.click()}>Import<//>
          <${Button} size="small" kind="primary" icon="plus" scope="write" onClick=${() => setAdding({})}>Remember<//>
          <${Download} name="memories" columns=${COLUMNS} rows=${() => (isAsking ? search.hits : all(query))} />
        </div>
      </div>
    </div>
    ${error && html`<${Failed} error=${error} again=${isAsking ? search.again : pages.refresh} />`}
    <p class="hidden" role="status">${isAsking && !search.isBusy ? `${items.length} found` : ""}</p>
    ${items.length ? html`<${VirtualList} label=${isAsking ? "What was found" : "Memories, the newest first"} class=${classes("hits", search.isOld && "old")}
        items=${items} keyOf=${(each) => each.id} estimate=${isAsking ? 132 : 104} jump=${jump} onOpen=${open} onKey=${hitKeys}
        total=${isAsking || hasFilters(query) ? undefined : size}
        onEnd=${!isAsking ? (pages.hasMore ? pages.more : null) : showsWeak || !weak ? search.more : null}
        render=${(record) => html`<${Hit} record=${record} isHit=${isAsking} asked=${asked} onOpen=${() => open(record)} />`} />`
      : !error && html`<${Nothing} isAsking=${isAsking} isBusy=${isAsking ? search.isBusy : pages.isBusy || pages.hasMore} text=${text}
          query=${query} isEmpty=${size === 0} onAdd=${() => setAdding({ text })} />`}
    ${isAsking && weak > 0 && !showsWeak && !search.isBusy && html`<p class="weak"><${Button} kind="quiet" size="small"
      onClick=${() => setShowsWeak(true)}>Show ${weak} that ${weak === 1 ? "has" : "have"} little in common<//></p>`}
    ${params.id && html`<${Later} load=${detail} key=${params.id} id=${params.id} query=${isAsking ? text : ""} demands=${demands} onClose=${close} />`}
    ${adding && html`<${Later} load=${add} text=${adding.text} onClose=${() => setAdding(null)} />`}
  <//>`;
}

/** All memories that the filters let through, for a download. */
const all = (query) => everything("memory/records", "records", { query: { ...listQuery(query), limit: 1000 } });

function Nothing({ isAsking, isBusy, text, query, isEmpty, onAdd }) {
  if (isBusy) return html`<${Waiting} lines=${6} />`;
  if (isEmpty) {
    return html`<${Empty} icon="plus" title="Nothing is remembered yet" command="clawstate memory import ~/notes"
      actions=${can("write") && html`<${Button} kind="primary" icon="plus" onClick=${onAdd}>Remember something<//>`}>
      Drop notes onto this page, write something down, or import a folder:<//>`;
  }
  if (isAsking) {
    return html`<${Empty} icon="search" title="Nothing like that" actions=${html`
      ${hasFilters(query) && html`<${Button} onClick=${() => navigate("/", { q: text })}>Without the filters<//>`}
      <${Button} scope="write" icon="plus" onClick=${onAdd}>Remember it<//>`}>
      ${hasFilters(query) ? "No memory that the filters let through answers this." : "No memory answers this. Other words may."}<//>`;
  }
  if (list(query.asof).length) return html`<${Empty} icon="clock" title="Ask the memory as it was then">Type a question above.<//>`;
  return html`<${Empty} icon="filter" title="The filters let nothing through"
    actions=${html`<${Button} onClick=${() => navigate("/")}>Without the filters<//>`} />`;
}
