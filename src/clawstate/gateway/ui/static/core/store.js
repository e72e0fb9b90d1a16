// Answers of the gateway, shared by all who show them and asked again when something moved.
//
//   function Sessions() {
//     const found = useQuery("sessions", () => api.get("sessions"), { parts: ["sessions"] });
//     if (found.error) return html`<${Failed} error=${found.error} again=${found.refresh} />`;
//     if (!found.data) return html`<${Waiting} />`;
//     return html`...${found.data.sessions}...`;
//   }
//
//   usePages(key, path, member, { query, parts })  // a list that grows page by page, for VirtualList
//     -> { items, more, isBusy, error, hasMore, refresh, change }
//
// `parts` are those of core/events.js. A query is asked again once things are quiet for a moment, not
// at every event; what is shown stays until the new answer is there.

import { api, isAbort } from "./api.js";
import { onChange, onReturn } from "./events.js";
import { signal, useEffect, useMemo } from "./lib.js";

const QUIET = 120; // milliseconds without an event before a query is asked again
const KEPT = 40; // answers that nobody shows any more

/**
 * @typedef {{data: any, error: Error|null, isBusy: boolean, refresh: () => Promise<void>}} Query
 */

const kept = /** @type {Map<string, Stored>} */ (new Map());

class Stored {
  /** @param {(signal: AbortSignal) => Promise<any>} load @param {string[]} parts */
  constructor(load, parts) {
    this.load = load;
    this.parts = parts;
    this.state = signal({ data: /** @type {any} */ (undefined), error: null, isBusy: false });
    this.users = 0;
    this.timer = 0;
    this.isStale = true;
    this.running = /** @type {AbortController|null} */ (null);
    this.refresh = this.refresh.bind(this);
    this.stop = () => {};
  }

  join() {
    if (this.users++ === 0) {
      this.stop = parts(this, () => this.later());
      if (this.isStale) this.refresh();
    }
    return () => {
      if (--this.users) return;
      this.stop();
      this.isStale = true; // it hears of nothing meanwhile
    };
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.refresh, QUIET);
  }

  async refresh() {
    this.running?.abort();
    const running = (this.running = new AbortController());
    this.isStale = false;
    this.state.value = { ...this.state.value, isBusy: true };
    try {
      const data = await this.load(running.signal);
      if (this.running === running) this.state.value = { data, error: null, isBusy: false };
    } catch (error) {
      if (isAbort(error) || this.running !== running) return;
      this.isStale = true;
      this.state.value = { data: this.state.value.data, error, isBusy: false };
    }
  }
}

/** @param {Stored} stored @param {() => void} hear */
function parts(stored, hear) {
  const stops = [onChange(stored.parts, hear), onReturn(() => stored.state.value.error && hear())];
  return () => stops.forEach((stop) => stop());
}

/**
 * @param {string} key the same key means the same answer: put all that matters into it
 * @param {(signal: AbortSignal) => Promise<any>} load
 * @param {{parts?: string[]}} [options] what makes the answer old; by default nothing does
 * @returns {Query}
 */
export function useQuery(key, load, { parts: named = [] } = {}) {
  const stored = useMemo(() => {
    let found = kept.get(key);
    if (!found) kept.set(key, (found = new Stored(load, [...named, "*"])));
    found.load = load;
    for (const [name, each] of kept) {
      if (kept.size <= KEPT) break;
      if (!each.users && each !== found) kept.delete(name);
    }
    return found;
  }, [key]);
  useEffect(() => stored.join(), [stored]);
  return { ...stored.state.value, refresh: stored.refresh };
}

/** Asks all queries again whose key begins so. @param {string} prefix */
export function refresh(prefix) {
  for (const [key, each] of kept) {
    if (!key.startsWith(prefix)) continue;
    if (each.users) each.refresh();
    else each.isStale = true;
  }
}

/** Forgets every answer, as when somebody signs out. */
export const forgetAnswers = () => kept.clear();

class Pages {
  /** @param {string} path @param {string} member @param {Record<string, any>} query */
  constructor(path, member, query) {
    this.request = { path, member, query };
    this.state = signal({
      items: /** @type {any[]} */ ([]), error: /** @type {any} */ (null), isBusy: false, hasMore: true,
    });
    this.after = /** @type {string|undefined} */ (undefined);
    this.running = /** @type {AbortController|null} */ (null);
    this.more = this.more.bind(this);
    this.refresh = this.refresh.bind(this);
    this.change = this.change.bind(this);
  }

  /** The next page; nothing while one is on its way. */
  more() {
    const { isBusy, hasMore, error } = this.state.value;
    return isBusy || !hasMore || error ? undefined : this.ask(this.request.query.limit ?? 100);
  }

  /** All that is shown anew, in its place. */
  refresh() {
    const shown = this.state.value.items.length;
    return this.ask(Math.min(1000, Math.max(shown, this.request.query.limit ?? 100)), true);
  }

  /** Shows something before the gateway has it. @param {(items: any[]) => any[]} edit */
  change(edit) {
    this.state.value = { ...this.state.value, items: edit(this.state.value.items) };
  }

  async ask(limit, anew = false) {
    this.running?.abort();
    const running = (this.running = new AbortController());
    const { path, member, query } = this.request;
    this.state.value = { ...this.state.value, isBusy: true, error: null };
    try {
      const sent = { ...query, limit, after: anew ? undefined : this.after };
      const found = await api.get(path, { query: sent, signal: running.signal });
      if (this.running !== running) return;
      const old = anew ? [] : this.state.value.items;
      this.after = found.next ?? undefined;
      const items = [...old, ...found[member]];
      this.state.value = { items, error: null, isBusy: false, hasMore: Boolean(found.next) };
    } catch (error) {
      if (isAbort(error) || this.running !== running) return;
      this.state.value = { ...this.state.value, error, isBusy: false };
    }
  }
}

/**
 * A list that grows at its end by cursor.
 * @param {string|null} path `null` asks nothing @param {string} member which member holds the items
 * @param {{query?: Record<string, any>, parts?: string[]}} [options]
 */
export function usePages(path, member, { query = {}, parts: named = [] } = {}) {
  const key = JSON.stringify([path, member, query]);
  const pages = useMemo(() => new Pages(path ?? "", member, query), [key]);
  useEffect(() => {
    if (path === null) return undefined;
    pages.ask(query.limit ?? 100, true);
    let timer = 0;
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(pages.refresh, QUIET);
    };
    const stops = [onChange([...named, "*"], later), onReturn(() => pages.state.value.error && later())];
    return () => {
      stops.forEach((stop) => stop());
      clearTimeout(timer);
      pages.running?.abort();
    };
  }, [pages]);
  return { ...pages.state.value, more: pages.more, refresh: pages.refresh, change: pages.change };
}
