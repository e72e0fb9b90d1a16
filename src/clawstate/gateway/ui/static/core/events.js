// Hears what moves in the state, by whoever: another tab, a phone, a command, an agent.
//
//   const stop = onChange(["memory"], ({ part, keys }) => ...);  // keys: ids, or null for "any"
//   const stop = onReturn(() => ...);                             // the gateway is back
//   connection.value   -> "off" | "open" | "lost"                 // the shell shows the banner
//
// Screens seldom need this: a query of core/store.js names its parts, and is asked again by itself.
// Parts are those of the feed: "config", "sessions", "transcripts", "memory", "devices", "pairing",
// "dedupe", "auth:<agent>", ...; "auth" here means all that begin with "auth:".

import { bearer, learnAgain } from "./api.js";
import { signal } from "./lib.js";

/** @typedef {{part: string, keys: string[]|null}} Change */

/** Whether events come in: "off" before anybody is signed in, "open", or "lost". */
export const connection = signal("off");

/** Since when it is lost, in milliseconds, and when it is tried again. */
export const lostSince = signal(0);

const listeners = /** @type {Set<{parts: string[]|null, hear: (change: Change) => void}>} */ (new Set());
const jobListeners = /** @type {Set<(job: any) => void>} */ (new Set());
let socket = /** @type {WebSocket|null} */ (null);
let cursor = "";
let tries = 0;
let timer = 0;

/**
 * @param {string[]|null} parts which parts to hear of; `null` for all
 * @param {(change: Change) => void} hear called with `keys` null where anything may have moved
 * @returns {() => void} ends it
 */
export function onChange(parts, hear) {
  const listener = { parts, hear };
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * @param {(job: {id: string, kind: string, state: string, done: number, total: number}) => void} hear called
 *   with each job of the gateway that went on or ended
 * @returns {() => void} ends it
 */
export function onJob(hear) {
  jobListeners.add(hear);
  return () => jobListeners.delete(hear);
}

const returns = /** @type {Set<() => void>} */ (new Set());

/** Calls when a connection that was lost is back: the time to ask again for what failed. @param {() => void} hear */
export function onReturn(hear) {
  returns.add(hear);
  return () => returns.delete(hear);
}

/** Begins to listen; called once somebody is signed in. */
export function connect() {
  disconnect();
  tries = 0;
  open();
}

/** Listens no more. */
export function disconnect() {
  clearTimeout(timer);
  const old = socket;
  socket = null;
  old?.close();
  connection.value = "off";
}

/** Tries at once, as when somebody presses the button in the banner. */
export function tryNow() {
  clearTimeout(timer);
  open();
}

function open() {
  if (!bearer()) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const since = cursor && `?since=${encodeURIComponent(cursor)}`;
  const opened = new WebSocket(`${scheme}://${location.host}/ws${since}`, ["clawstate.v1", `bearer.${bearer()}`]);
  socket = opened;
  opened.onopen = () => {
    const wasLost = connection.value === "lost";
    tries = 0;
    connection.value = "open";
    if (!wasLost) return;
    learnAgain();
    for (const hear of returns) hear();
  };
  opened.onmessage = (event) => take(JSON.parse(event.data));
  opened.onclose = () => {
    if (socket !== opened) return;
    if (connection.value !== "lost") lostSince.value = Date.now();
    connection.value = "lost";
    // Not all at the same moment: a gateway that starts again has many pages to let in.
    const wait = Math.min(15_000, 400 * 2 ** tries++) * (0.7 + Math.random() * 0.6);
    timer = setTimeout(open, wait);
    // Whether the token is good still, a WebSocket does not tell.
    if (tries === 2) learnAgain();
  };
}

/** @param {any} message `{type: "changes", cursor, items, complete}` or `{type: "job", job}` */
function take(message) {
  if (message.type !== "changes") {
    for (const hear of jobListeners) hear(message.job);
    return;
  }
  const isFirst = !cursor;
  cursor = message.cursor;
  if (!message.complete) {
    // The first one of a page that has just read everything says nothing new.
    if (!isFirst) for (const each of listeners) each.hear({ part: "*", keys: null });
    return;
  }
  for (const change of message.items) {
    const [family] = change.part.split(":");
    for (const { parts, hear } of listeners) {
      if (!parts || parts.includes(change.part) || parts.includes(family)) hear(change);
    }
  }
}

// A phone that was put away notices late that its connection is gone.
addEventListener("online", () => connection.value === "lost" && tryNow());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && connection.value === "lost") tryNow();
});
