// A list of any length that shows only what is in sight: 100,000 rows scroll as ten do.
//
//   html`<${VirtualList} label="Sessions" items=${found.items} keyOf=${(each) => each.key}
//     render=${(item, index) => html`<${Row} ...${item} />`}
//     onEnd=${found.hasMore ? found.more : null} onOpen=${(item) => navigate(...)} />`
//
// - `items`: an array, or `{ length, at(index) }` for a list read by offset; `at` may give `undefined`
//   for what is not there yet (a row says so), and `onRange(first, last)` tells what is in sight.
// - rows may have any height and change it: `estimate` is only for those never seen.
// - it scrolls with the page, or by itself with the class "scrolls" and a height.
// - `onEnd`, `onStart`: near the end or the start; what is put before stays out of sight, so that
//   nothing moves under the eyes.
// - keys: arrows or j/k, PageUp/PageDown, Home/End; Enter opens; `onKey(event, item, index)` for more.
// - `jump`: `{ index }`, a new object each time, scrolls there and gives it the focus.
// For screen readers it is a list whose items tell their place in it.

import { classes, html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { isWriting } from "./keys.js";

const BEYOND = 600; // pixels that are there above and below what is in sight

/** Heights of rows, with the sum up to any of them in logarithmic time (a Fenwick tree). */
class Heights {
  constructor(estimate) {
    this.estimate = estimate;
    this.known = /** @type {Map<any, number>} */ (new Map());
    this.size = 0;
    this.heights = new Float64Array(0);
    this.tree = new Float64Array(1);
  }

  /** @param {number} size @param {(index: number) => any} keyAt @param {boolean} isSame */
  resize(size, keyAt, isSame) {
    if (size === this.size && isSame) return;
    const heights = new Float64Array(size);
    const from = isSame ? Math.min(size, this.size) : 0;
    heights.set(this.heights.subarray(0, from));
    for (let i = from; i < size; i++) heights[i] = this.known.get(keyAt(i)) ?? this.estimate;
    const tree = new Float64Array(size + 1);
    for (let i = 1; i <= size; i++) {
      tree[i] += heights[i - 1];
      const next = i + (i & -i);
      if (next <= size) tree[next] += tree[i];
    }
    Object.assign(this, { size, heights, tree });
  }

  /** @returns {number} by how much it grew */
  set(index, key, height) {
    const by = height - this.heights[index];
    if (Math.abs(by) < 0.5) return 0;
    this.heights[index] = height;
    this.known.set(key, height);
    for (let i = index + 1; i <= this.size; i += i & -i) this.tree[i] += by;
    return by;
  }

  /** The top of a row. */
  top(index) {
    let sum = 0;
    for (let i = index; i > 0; i -= i & -i) sum += this.tree[i];
    return sum;
  }

  /** The row at a height. */
  at(offset) {
    let index = 0, left = Math.max(0, offset);
    for (let step = 2 ** Math.floor(Math.log2(this.size || 1)); step; step >>= 1) {
      if (index + step <= this.size && this.tree[index + step] <= left) left -= this.tree[index += step];
    }
    return Math.min(index, Math.max(0, this.size - 1));
  }
}

/** @param {any} props as told above */
export function VirtualList(props) {
  const {
    items, keyOf, render, label, estimate = 64, onEnd, onStart, onOpen, onKey, onRange, onActive,
    jump, total, class: extra,
  } = props;
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  const heights = useRef(/** @type {Heights|null} */ (null));
  heights.current ??= new Heights(estimate);
  const size = items.length;
  const keyAt = (index) => {
    const item = items.at(index);
    return item === undefined ? `#${index}` : keyOf(item);
  };
  const before = useRef({ size: 0, first: undefined, last: undefined, anchor: undefined });
  const [range, setRange] = useState({ first: 0, last: 20 });
  const [active, setActive] = useState(0);
  const [, again] = useState(0);
  const wantsFocus = useRef(false);

  const old = before.current;
  const isSame = old.size <= size && (old.size === 0 || (keyAt(0) === old.first && keyAt(old.size - 1) === old.last));
  heights.current.resize(size, keyAt, isSame);

  const look = () => {
    const found = view(box.current);
    if (!found || !heights.current) return;
    const first = Math.max(0, heights.current.at(found.from - BEYOND));
    const last = Math.min(size - 1, heights.current.at(found.to + BEYOND));
    setRange((now) => (now.first === first && now.last === last ? now : { first, last }));
    onRange?.(first, last);
    if (onEnd && found.to > heights.current.top(size) - 3 * BEYOND) onEnd();
    if (onStart && found.from < BEYOND) onStart();
    const top = heights.current.at(found.from);
    before.current.anchor = { key: keyAt(top), by: found.from - heights.current.top(top) };
  };

  useLayoutEffect(() => {
    const anchor = old.anchor;
    Object.assign(old, { size, first: size ? keyAt(0) : undefined, last: size ? keyAt(size - 1) : undefined });
    if (!isSame && anchor && anchor.by > 0) {
      // Something came or went above: what was on top stays on top.
      for (let i = 0; i < size; i++) {
        if (keyAt(i) === anchor.key) {
          const now = view(box.current);
          if (now) scrollBy(box.current, heights.current.top(i) + anchor.by - now.from);
          break;
        }
      }
    }
    look();
  }, [items, size]);

  useEffect(() => {
    const scroller = scrollerOf(box.current);
    let frame = 0;
    const soon = () => (frame ||= requestAnimationFrame(() => ((frame = 0), latest.current())));
    scroller.addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      scroller.removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, []);
  const latest = useRef(look);
  latest.current = look;

  const observer = useRef(/** @type {ResizeObserver|null} */ (null));
  observer.current ??= new ResizeObserver((entries) => measured.current(entries));
  const measured = useRef(/** @type {(entries: ResizeObserverEntry[]) => void} */ (() => {}));
  measured.current = (entries) => {
    let above = 0, changed = false;
    const now = view(box.current), known = heights.current;
    for (const { target, borderBoxSize } of entries) {
      const index = Number(/** @type {HTMLElement} */ (target).dataset.index);
      if (!target.isConnected || index >= known.size) continue;
      const by = known.set(index, keyAt(index), borderBoxSize[0].blockSize);
      changed ||= by !== 0;
      if (now && known.top(index + 1) - by <= now.from) above += by;
    }
    if (above) scrollBy(box.current, above);
    if (changed) {
      setRange((range) => ({ ...range }));
      latest.current();
    }
  };
  useEffect(() => () => observer.current?.disconnect(), []);

  const show = (index, focus = true) => {
    const to = Math.max(0, Math.min(size - 1, index));
    setActive(to);
    onActive?.(items.at(to), to);
    wantsFocus.current = focus;
    again((n) => n + 1);
    const now = view(box.current), top = heights.current.top(to), end = heights.current.top(to + 1);
    if (!now) return;
    if (top < now.from + 8) scrollBy(box.current, top - now.from - 8);
    else if (end > now.to - 8) scrollBy(box.current, Math.min(end - now.to + 8, top - now.from - 8));
    look();
  };

  useEffect(() => {
    if (!wantsFocus.current) return;
    const row = rowAt(box.current, active);
    if (row) {
      wantsFocus.current = false;
      row.focus({ preventScroll: true });
    }
  });

  useEffect(() => {
    if (jump && size) show(jump.index, jump.focus ?? true);
  }, [jump]);

  const press = (event) => {
    if (isWriting(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, heights.current.at(heights.current.top(active) + 500) - active);
    const to = {
      ArrowDown: active + 1, j: active + 1, ArrowUp: active - 1, k: active - 1,
      PageDown: active + page, PageUp: active - page, Home: 0, End: size - 1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      show(to);
    } else if (event.key === "Enter" && event.target === rowAt(box.current, active) && onOpen) {
      event.preventDefault();
      onOpen(items.at(active), active);
    } else onKey?.(event, items.at(active), active);
  };

  const shown = [];
  const first = Math.min(range.first, Math.max(0, size - 1)), last = Math.min(range.last, size - 1);
  for (let index = first; index <= last; index++) {
    const item = items.at(index), key = keyAt(index);
    shown.push(html`<${Row} key=${key} observer=${observer.current} index=${index} isActive=${index === active}
      size=${total ?? (onEnd ? -1 : size)} onActive=${setActive}>
      ${item === undefined ? html`<div class="row-waits" aria-hidden="true"></div>` : render(item, index)}
    <//>`);
  }
  return html`<div ref=${box} role="list" aria-label=${label} class=${classes("virtual", extra)} onKeyDown=${press}>
    <div role="presentation" style=${{ height: `${heights.current.top(first)}px` }}></div>
    ${shown}
    <div role="presentation" style=${{ height: `${Math.max(0, heights.current.top(size) - heights.current.top(last + 1))}px` }}></div>
  </div>`;
}

/** One row, measured as long as it is there. */
function Row({ observer, index, isActive, size, onActive, children }) {
  const element = useRef(/** @type {HTMLElement|null} */ (null));
  useLayoutEffect(() => {
    const shown = element.current;
    observer.observe(shown);
    return () => observer.unobserve(shown);
  }, []);
  return html`<div ref=${element} role="listitem" class="row" data-index=${index} tabindex=${isActive ? 0 : -1}
    aria-setsize=${size} aria-posinset=${index + 1} onFocusIn=${() => isActive || onActive(index)}>${children}</div>`;
}

const rowAt = (box, index) => box?.querySelector(`:scope > [data-index="${index}"]`);

/** What scrolls: the list itself, if it is made to, or the page. */
function scrollerOf(box) {
  return box?.classList.contains("scrolls") ? box : document;
}

/** Which part of the list is in sight, in pixels from its top. */
function view(box) {
  if (!box) return null;
  if (box.classList.contains("scrolls")) return { from: box.scrollTop, to: box.scrollTop + box.clientHeight };
  const top = box.getBoundingClientRect().top;
  return { from: -top, to: innerHeight - top };
}

function scrollBy(box, by) {
  (box.classList.contains("scrolls") ? box : globalThis).scrollBy({ top: by, behavior: "instant" });
}
