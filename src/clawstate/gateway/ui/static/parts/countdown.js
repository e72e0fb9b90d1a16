// Time that runs out: html`<${Countdown} until=${ms} over="expired" onEnd=${refresh} />` shows "9:41".
// A screen reader is not told each second; it finds the moment itself in the title.

import { fully } from "../core/format.js";
import { html, useEffect, useRef, useState } from "../core/lib.js";

/** @param {{until: number, over?: any, onEnd?: () => void}} props `until` in milliseconds */
export function Countdown({ until, over = "over", onEnd }) {
  const [now, setNow] = useState(Date.now());
  const ended = useRef(onEnd);
  ended.current = onEnd;
  useEffect(() => {
    const timer = setInterval(() => {
      setNow(Date.now());
      if (Date.now() < until) return;
      clearInterval(timer);
      ended.current?.();
    }, 1000);
    return () => clearInterval(timer);
  }, [until]);
  const left = Math.max(0, Math.ceil((until - now) / 1000));
  return html`<time class="num" title=${fully(until)} datetime=${new Date(until).toISOString()}>${left ? clock(left) : over}</time>`;
}

/** @param {number} seconds */
function clock(seconds) {
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
  if (hours >= 48) return `${Math.round(hours / 24)} days`;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
