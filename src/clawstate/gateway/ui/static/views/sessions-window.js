// The part of a transcript that is in the page: it grows at both ends, and at its end by what is said.

import { api, isAbort, segment } from "../core/api.js";
import { onChange } from "../core/events.js";
import { signal, useEffect, useMemo } from "../core/lib.js";

const PART = 200; // messages that are asked for at once

class Part {
  /** @param {string} id @param {string|undefined} middle the message that a link leads to */
  constructor(id, middle) {
    this.id = segment(id);
    this.middle = middle;
    this.state = signal({
      items: /** @type {any[]} */ ([]), hasBefore: false, hasBehind: false, isLoaded: false,
      isMissing: false, fresh: 0, error: /** @type {any} */ (null),
    });
    this.stop = new AbortController();
    this.running = false;
    this.isStale = false;
    this.older = this.older.bind(this);
    this.newer = this.newer.bind(this);
    this.begin = this.begin.bind(this);
  }

  /** Asks one thing at a time. @param {() => Promise<any>} load */
  async only(load) {
    if (this.running) return;
    this.running = true;
    try {
      this.state.value = { ...this.state.value, ...(await load()), error: null };
    } catch (error) {
      if (!isAbort(error)) this.state.value = { ...this.state.value, error, isLoaded: true };
    }
    this.running = false;
    if (this.isStale) this.hear();
  }

  get(path, query) {
    return api.get(`transcripts/${path}/${this.id}`, { query, signal: this.stop.signal });
  }

  begin() {
    return this.only(async () => {
      if (this.middle) {
        try {
          const { messages } = await this.get("around", { message: this.middle, limit: PART });
          const at = messages.findIndex((each) => each.id === this.middle);
          return { items: messages, hasBefore: at >= PART, hasBehind: messages.length - at > PART, isLoaded: true };
        } catch (error) {
          if (error.type !== "not_found") throw error;
          return { ...(await this.end()), isMissing: true };
        }
      }
      return this.end();
    });
  }

  async end() {
    const { messages, next } = await this.get("messages", { limit: PART });
    return { items: messages.reverse(), hasBefore: Boolean(next), hasBehind: false, isLoaded: true, fresh: 0 };
  }

  /** Those before the first one. */
  older() {
    const { items, hasBefore } = this.state.value;
    if (!hasBefore) return undefined;
    return this.only(async () => {
      const { messages } = await this.get("beside", { before: items[0].id, limit: PART });
      return { items: [...messages, ...this.state.value.items], hasBefore: messages.length === PART };
    });
  }

  /** Those behind the last one. */
  newer() {
    const { items, hasBehind } = this.state.value;
    return hasBehind ? this.only(() => this.behind(items)) : undefined;
  }

  async behind(items, isLive = false) {
    const { messages } = await this.get("beside", { behind: items.at(-1).id, limit: PART });
    const hasBehind = messages.length === PART;
    // The very list stays where nothing came, so that nothing is drawn again.
    if (!messages.length) return { hasBehind };
    const fresh = isLive ? this.state.value.fresh + messages.length : this.state.value.fresh;
    return { items: [...items, ...messages], hasBehind, fresh };
  }

  /** Something was said, somewhere in the session. */
  hear() {
    this.isStale = this.running;
    if (this.running || this.state.value.hasBehind) return;
    const { items } = this.state.value;
    this.only(() => (items.length ? this.behind(items, true) : this.end()));
  }

  /** The newest ones again, as when the messages themselves were removed. */
  toEnd() {
    return this.only(() => this.end());
  }

  seen() {
    if (this.state.value.fresh) this.state.value = { ...this.state.value, fresh: 0 };
  }
}

/** @param {string} id of a session @param {string|undefined} middle of a message */
export function usePart(id, middle) {
  const part = useMemo(() => new Part(id, middle), [id, middle]);
  useEffect(() => {
    part.begin();
    let timer = 0;
    const stop = onChange(["transcripts", "*"], ({ keys }) => {
      if (keys && !keys.some((key) => key.includes(id))) return;
      clearTimeout(timer);
      timer = setTimeout(() => part.hear(), 60);
    });
    return () => {
      stop();
      clearTimeout(timer);
      part.stop.abort();
    };
  }, [part]);
  return part;
}
