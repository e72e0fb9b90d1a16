// Results while somebody types: each key asks at once, and what is on its way by then is dropped.

import { api, isAbort } from "../core/api.js";
import { onChange } from "../core/events.js";
import { useEffect, useRef, useState } from "../core/lib.js";

/** How many hits are asked for. */
export const FOUND = 40;

/**
 * @param {string} text "" asks nothing @param {Record<string, any>} demands as the gateway takes them
 * @returns {{hits: any[], isBusy: boolean, isOld: boolean, error: any, again: () => void}}
 */
export function useSearch(text, demands) {
  const [state, setState] = useState({ hits: /** @type {any[]} */ ([]), isBusy: false, error: /** @type {any} */ (null), text: "" });
  const [turn, setTurn] = useState(0);
  const running = useRef(/** @type {AbortController|null} */ (null));
  useEffect(() => {
    running.current?.abort();
    if (!text.trim()) {
      setState({ hits: [], isBusy: false, error: null, text: "" });
      return;
    }
    const abort = (running.current = new AbortController());
    setState((now) => ({ ...now, isBusy: true }));
    const body = { query: text, k: FOUND, explain: true, snippets: true, ...demands };
    api.post("memory/search", body, { signal: abort.signal }).then(
      (found) => setState({ hits: found.results, isBusy: false, error: null, text }),
      (error) => isAbort(error) || setState({ hits: [], isBusy: false, error, text }),
    );
  }, [text, demands, turn]);
  useEffect(() => {
    let timer = 0;
    const stop = onChange(["memory", "*"], () => {
      clearTimeout(timer);
      timer = setTimeout(() => setTurn((n) => n + 1), 150);
    });
    return () => {
      stop();
      clearTimeout(timer);
      running.current?.abort();
    };
  }, []);
  return { ...state, isOld: state.isBusy && state.text !== text, again: () => setTurn((n) => n + 1) };
}
