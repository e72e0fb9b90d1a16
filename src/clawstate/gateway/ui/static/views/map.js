// Map: all memories as points, those alike near each other, with the words that tell regions apart.
// In the address: `q` (found ones stand out), `by` (colour), `tag`, `source`, `namespace`, `all`, `id`.

import { api, isAbort } from "../core/api.js";
import { count } from "../core/format.js";
import { html, useEffect, useMemo, useRef, useState } from "../core/lib.js";
import { useCommands, useKeys } from "../core/keys.js";
import { list, setQuery } from "../core/router.js";
import { useQuery } from "../core/store.js";
import { Button, IconButton } from "../parts/button.js";
import { Choice, SearchField } from "../parts/field.js";
import { Chip, Empty, Failed, Progress, Waiting } from "../parts/small.js";
import { Text } from "../parts/text.js";
import { coloursOf, KINDS, tellingKind, looksOf, paletteOf } from "./map/colours.js";
import { idsOf, load, numbersOf, recordsOf } from "./map/data.js";
import { MapList } from "./map/list.js";
import { indexOf } from "./map/near.js";
import { RecordPanel } from "./map/record.js";
import { Selection } from "./map/selection.js";
import { Stage } from "./map/stage.js";

const AGAIN = 1500; // milliseconds between two looks at a layout that runs
const MANY = 20_000, SELDOM = 3000;
const HITS = 100;
const ALL = "\u0001"; // no namespace is called so
const NOTHING = new Uint32Array(0);
const MARKED = { light: [190, 30, 10], dark: [255, 240, 120] };

/** @param {{query: Record<string, any>}} props */
export default function MemoryMap({ query }) {
  const filters = { tag: list(query.tag), source: query.source, namespace: query.namespace, everywhere: query.all ? true : undefined };
  const key = `map ${JSON.stringify(filters)}`;
  const before = useRef(/** @type {any} */ (null));
  const loadedAt = useRef(0);
  const answer = useQuery(key, async (signal) => {
    // While an agent writes all the time, a large map follows it in steps.
    const rest = before.current?.count > MANY ? loadedAt.current + SELDOM - Date.now() : 0;
    if (rest > 0) await new Promise((done) => setTimeout(done, rest));
    before.current = await load(filters, signal, before.current);
    loadedAt.current = Date.now();
    return before.current;
  }, { parts: ["memory"] });
  // What was shown stays until there is another: a filter must not make the page blink.
  const found = answer.data ?? (answer.error ? null : before.current);
  const isRunning = found && found.doc.done < 1;
  useEffect(() => {
    if (!isRunning) return undefined;
    const timer = setInterval(answer.refresh, AGAIN);
    return () => clearInterval(timer);
  }, [isRunning, key]);
  if (!found) return answer.error ? html`<${Failed} error=${answer.error} again=${answer.refresh} />` : html`<h1>Map</h1><${Waiting} lines=${8} />`;
  if (!found.count && !Object.values(filters).flat().some(Boolean)) {
    return html`<div class="head"><h1>Map</h1><${Whose} query=${query} /></div><div class="card"><${Empty} icon="map" title="Nothing to draw yet" command="clawstate memory import ~/notes">
      Once something is remembered it lies here as points: what is alike is near.<//></div>`;
  }
  return html`${answer.error && html`<${Failed} error=${answer.error} again=${answer.refresh} />`}
    <${Drawn} found=${found} query=${query} filters=${filters} again=${answer.refresh} />`;
}

/** @param {{found: import("./map/data.js").Found, query: Record<string, any>, filters: any, again: () => any}} props */
function Drawn({ found, query, filters, again }) {
  const telling = useMemo(() => tellingKind(found), [found.version]);
  const kind = KINDS.some(([each]) => each === query.by) ? query.by : telling;
  const [selected, setSelected] = useState(NOTHING);
  const [shown, setShown] = useState(/** @type {number|null} */ (null));
  const [isSelecting, setSelecting] = useState(false);
  const [showsTable, setShowsTable] = useState(false);
  const isDark = useDark();
  const commands = useRef(/** @type {any} */ (null));
  const { hits, isThere } = useHits(found, query.q ?? "", filters);
  const tip = useTip(found);

  const index = useMemo(() => indexOf(found), [found.version]);
  const colours = useMemo(() => coloursOf(found, kind), [found.version, kind]);
  useEffect(() => setShown(null), [kind]);
  // Numbers are those of a version: what was selected is found again by its ids.
  const version = useRef(found);
  useEffect(() => {
    const old = version.current;
    version.current = found;
    if (old.version === found.version || !selected.length) return;
    idsOf(old, Array.from(selected, (each) => /** @type {[number, number]} */ ([each, each + 1])))
      .then((ids) => numbersOf(found, ids.slice(0, 10_000))).then((numbers) => setSelected(Uint32Array.from(numbers)), () => setSelected(NOTHING));
  }, [found.version]);

  const marked = selected.length ? selected : hits;
  const looks = useMemo(() => looksOf(colours.numbers, shown, marked, marked.length > 0), [colours, shown, marked]);
  const palette = paletteOf(kind, isDark);
  const open = async (/** @type {number} */ number) => setQuery({ id: (await idsOf(found, [[number, number + 1]]))[0] });
  const select = (/** @type {Uint32Array} */ numbers) => {
    setSelected(numbers);
    setSelecting(false);
  };
  const rectangle = () => commands.current?.startRectangle();
  useKeys("Map", { l: ["Draw an outline", () => setSelecting(!isSelecting)], t: ["Show the table", () => setShowsTable(!showsTable)] });
  useCommands([
    { id: "map.select", title: "Select memories on the map", run: () => setSelecting(true) },
    { id: "map.rectangle", title: "Select a rectangle of the map by keys", run: rectangle },
    { id: "map.table", title: "Show the map as a table", run: () => setShowsTable(true) },
  ]);
  const numbers = useMemo(() => (marked.length ? marked : Uint32Array.from({ length: found.count }, (_, i) => i)), [found.version, marked]);
  const { doc } = found;
  return html`<div class="head"><div><h1>Map</h1><p class="lead">${count(found.count)} ${found.count === 1 ? "memory" : "memories"}; what is alike lies close together.
      ${doc.unplaced > 0 && ` ${count(doc.unplaced)} without a meaning yet lie below.`}</p></div>
      <div class="line"><${Whose} query=${query} />
        <${Choice} label="Colour by" value=${kind} options=${KINDS} onChange=${(/** @type {string} */ by) => setQuery({ by }, { replace: true })} /></div></div>
    <div class="line map-search"><${SearchField} label="Find on the map" value=${query.q ?? ""} placeholder="Find on the map"
        onInput=${(/** @type {string} */ q) => setQuery({ q }, { replace: true })} />
      <span class="soft small" role="status">${query.q && isThere && `${count(hits.length)} found`}</span>
      ${filters.tag.map((/** @type {string} */ tag) => html`<${Chip} label="tag" value=${tag} onRemove=${() => setQuery({ tag: filters.tag.filter((/** @type {string} */ each) => each !== tag) })} />`)}
      ${filters.source && html`<${Chip} label="source" value=${filters.source} onRemove=${() => setQuery({ source: null })} />`}
      ${doc.done < 1 && html`<${Progress} label="Arranging" value=${Math.round(doc.done * 100)} of=${100} />
        <${Button} kind="quiet" scope="write" onClick=${() => api.post("memory/map/stop")}>Stop<//>`}</div>
    <div class="map-frame">
      <${Stage} found=${found} index=${index} looks=${looks} palette=${palette} marked=${isDark ? MARKED.dark : MARKED.light} isSelecting=${isSelecting}
        label=${`Map of ${count(found.count)} memories`} onOpen=${open} onHover=${tip.hover} onSelect=${select} commands=${commands} />
      <div class="map-tools">
        <${IconButton} icon="plus" label="Closer" onClick=${() => commands.current.zoomBy(1.6)} />
        <${IconButton} icon="minus" label="Farther" onClick=${() => commands.current.zoomBy(1 / 1.6)} />
        <${IconButton} icon="map" label="Show all" onClick=${() => commands.current.reset()} />
        <${IconButton} icon="lasso" label="Select with an outline" aria-pressed=${isSelecting} onClick=${() => setSelecting(!isSelecting)} />
      </div>
      ${isSelecting && html`<p class="map-hint" role="status">Draw around what you want to select.</p>`}
      <${Tip} of=${tip.shown} />
    </div>
    <${Selection} found=${found} numbers=${selected} onClear=${() => setSelected(NOTHING)} onTable=${() => setShowsTable(true)} onForgotten=${again} />
    <${Legend} legend=${colours.legend} palette=${palette} shown=${shown} onShow=${setShown} />
    <div class="line"><${Button} aria-expanded=${showsTable} onClick=${() => setShowsTable(!showsTable)}>${showsTable ? "Hide the table" : "Show as table"}<//></div>
    ${showsTable && html`<${MapList} found=${found} numbers=${numbers} title=${selected.length ? "Selected memories" : hits.length ? "Found memories" : "All memories"}
      onOpen=${(/** @type {string} */ id) => setQuery({ id })} />`}
    ${query.id && html`<${RecordPanel} id=${query.id} marks=${query.q ? query.q.split(/\s+/) : []} onClose=${() => setQuery({ id: null })}
      onSource=${(/** @type {string} */ source) => setQuery({ source, id: null })} />`}`;
}

/** Whose memories are shown, where there are several namespaces. @param {{query: Record<string, any>}} props */
function Whose({ query }) {
  const status = useQuery("status", (signal) => api.get("status", { signal }), { parts: ["memory"] });
  const names = Object.keys(status.data?.memory.namespaces ?? {});
  if (!names.some((each) => each !== "default")) return null;
  const options = [...new Set(["default", ...names])].map((each) => [each, each]);
  const choose = (/** @type {string} */ name) => setQuery({ all: name === ALL ? "1" : null, namespace: name === ALL || name === "default" ? null : name });
  return html`<${Choice} label="Namespace" value=${query.all ? ALL : query.namespace ?? "default"} options=${[...options, [ALL, "all of them"]]} onChange=${choose} />`;
}

/** What the query finds, as numbers. @param {import("./map/data.js").Found} found @param {string} text @param {any} filters */
function useHits(found, text, filters) {
  const [state, setState] = useState({ text: "", hits: NOTHING });
  const setHits = (/** @type {Uint32Array} */ hits) => setState({ text, hits });
  useEffect(() => {
    if (!text.trim()) {
      setHits(NOTHING);
      return undefined;
    }
    const stop = new AbortController();
    const namespace = filters.everywhere ? null : filters.namespace ?? "default";
    const body = { query: text, k: HITS, namespace, ...(filters.tag.length && { tags: filters.tag }), ...(filters.source && { source: filters.source }) };
    const timer = setTimeout(async () => {
      try {
        const { results } = await api.post("memory/search", body, { signal: stop.signal });
        const least = (results[0]?.score ?? 0) / 2; // the best, and what is half as good
        const ids = results.filter((/** @type {any} */ each) => each.score >= least).map((/** @type {any} */ each) => each.id);
        setHits(Uint32Array.from(await numbersOf(found, ids)));
      } catch (error) {
        // Of a map that moved meanwhile; the next one asks again.
        if (!isAbort(error)) setHits(NOTHING);
      }
    }, 120);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [text, found.version]);
  return { hits: state.hits, isThere: state.text === text };
}

/** The text of the point that the pointer is at. @param {import("./map/data.js").Found} found */
function useTip(found) {
  const [shown, setShown] = useState(/** @type {any} */ (null));
  const state = useRef({ timer: 0, wanted: -1, known: new Map(), version: "" }).current;
  if (state.version !== found.version) {
    state.version = found.version;
    state.known.clear();
  }
  const hover = (/** @type {number} */ number, /** @type {[number, number]|null} */ place) => {
    clearTimeout(state.timer);
    state.wanted = number;
    if (number < 0) return setShown(null);
    state.timer = setTimeout(async () => {
      if (!state.known.has(number)) {
        const [record] = await recordsOf(found, [number]).catch(() => []);
        state.known.set(number, record?.text.slice(0, 220) ?? "");
      }
      if (state.wanted === number) setShown({ text: state.known.get(number), place });
    }, 50);
    return undefined;
  };
  return { shown, hover };
}

/** @param {{of: {text: string, place: [number, number]}|null}} props */
function Tip({ of }) {
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => {
    const around = box.current?.parentElement;
    if (!of || !around) return;
    const frame = around.getBoundingClientRect(), own = box.current.getBoundingClientRect();
    box.current.style.left = `${Math.max(4, Math.min(frame.width - own.width - 4, of.place[0] - own.width / 2))}px`;
    box.current.style.top = `${of.place[1] + own.height + 20 < frame.height ? of.place[1] + 14 : of.place[1] - own.height - 14}px`;
  }, [of]);
  return html`<div class="map-tip" ref=${box} role="status" hidden=${!of?.text}>${of && html`<${Text} value=${of.text} />`}</div>`;
}

/** @param {any} props */
function Legend({ legend, palette, shown, onShow }) {
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => {
    // Colours of points are numbers; the policy allows no style in a template.
    for (const each of box.current.querySelectorAll("i")) each.style.background = `rgb(${palette[each.dataset.number].join(" ")})`;
  });
  return html`<div class="map-legend" ref=${box} role="group" aria-label="Colours">${legend.map((/** @type {any} */ each) => html`
    <button key=${each.number} aria-pressed=${shown === each.number} onClick=${() => onShow(shown === each.number ? null : each.number)}>
      <i data-number=${each.number}></i><${Text} value=${each.name} /> <span class="soft num">${count(each.count)}</span></button>`)}</div>`;
}

function useDark() {
  const isDark = () => {
    const theme = document.documentElement.dataset.theme;
    return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const [dark, setDark] = useState(isDark());
  useEffect(() => {
    const look = () => setDark(isDark());
    const watch = new MutationObserver(look), scheme = matchMedia("(prefers-color-scheme: dark)");
    watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    scheme.addEventListener("change", look);
    return () => {
      watch.disconnect();
      scheme.removeEventListener("change", look);
    };
  }, []);
  return dark;
}
