// Results while somebody types: each key asks at once, and what is on its way by then is dropped.
// What could not be asked while the gateway was away is asked once it is back.

import { api, isAbort } from "../core/api.js";
import { onChange, onReturn } from "../core/events.js";
import { useEffect, useRef, useState } from "../core/lib.js";

/** How many hits are asked for: what fits a screen while somebody types, more for who scrolls. */
const FIRST = 20;
export const FOUND = 60;

/**
 * @param {string} text "" asks nothing @param {Record<string, any>} demands as the gateway takes them
 * @returns {{hits: any[], isBusy: boolean, isOld: boolean, error: any, again: () => void, more: (() => void)|null}}
 */
export function useSearch(text, demands) {
  const [state, setState] = useState({ hits: /** @type {any[]} */ ([]), isBusy: false, error: /** @type {any} */ (null), text: "", isAll: true });
  const [turn, setTurn] = useState(0);
  const [wide, setWide] = useState("");
  const failed = useRef(false);
  failed.current = Boolean(state.error);
  const k = wide === text ? FOUND : FIRST;
  const running = useRef(/** @type {AbortController|null} */ (null));
  useEffect(() => {
    running.current?.abort();
    if (!text.trim()) {
      setState({ hits: [], isBusy: false, error: null, text: "", isAll: true });
      return;
    }
    const abort = (running.current = new AbortController());
    setState((now) => ({ ...now, isBusy: true }));
    const body = { query: text, k, snippets: true, ...demands };
    api.post("memory/search", body, { signal: abort.signal }).then(
      (found) => setState({ hits: found.results, isBusy: false, error: null, text, isAll: k === FOUND || found.results.length < k }),
      (error) => isAbort(error) || setState({ hits: [], isBusy: false, error, text, isAll: true }),
    );
  }, [text, demands, turn, k]);
  useEffect(() => {
    let timer = 0;
    const stop = onChange(["memory", "*"], () => {
      clearTimeout(timer);
      timer = setTimeout(() => setTurn((n) => n + 1), 150);
    });
    const stopWaiting = onReturn(() => failed.current && setTurn((n) => n + 1));
    return () => {
      stop();
      stopWaiting();
      clearTimeout(timer);
      running.current?.abort();
    };
  }, []);
  const more = state.isAll || state.isBusy ? null : () => setWide(text);
  return { ...state, isOld: state.isBusy && state.text !== text, again: () => setTurn((n) => n + 1), more };
}
