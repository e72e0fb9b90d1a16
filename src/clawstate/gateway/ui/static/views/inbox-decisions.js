// Decisions about what waits. The gateway hears of one when its undo is over: what was rejected
// leaves no text from which it could be brought back. A page that is left before tells the next one,
// by what it keeps of the tab: a tab that is closed decides nothing, and all of it waits still.

import { api, segment } from "../core/api.js";
import { signal } from "../core/lib.js";
import { fail, toast } from "../parts/toast.js";
import { setApart } from "./inbox-apart.js";

const UNDO = 6_000; // milliseconds
const KEPT = "clawstate.decided";

/** What the page before this one had decided, and could not tell. @type {Decision[]} */
let left = read();

/**
 * Items of the inbox are accepted or rejected. Of records that say nearly the same one `stays`, and `ids`
 * give way or are forgotten; or they stay all, as a `group`.
 * @typedef {"accept"|"reject"|"replace"|"forget"|"apart"} Kind
 * @typedef {{text?: string, stays?: string, group?: string}} Details `text`: in the place of what was captured
 * @typedef {Details & {ids: string[], kind: Kind, timer: number, isTold?: boolean, close: () => void}} Decision
 */

const WORDS = /** @type {Record<Kind, [string, (many: number) => string]>} */ ({
  accept: ["Remembered", (many) => `Remembered: ${many}`],
  reject: ["Rejected", (many) => `Rejected: ${many}`],
  replace: ["One stays, the other is its history", (many) => `One stays, ${many} others are its history`],
  forget: ["One stays, the other is forgotten", (many) => `One stays, ${many} others are forgotten`],
  apart: ["It stays", () => "All of them stay"],
});

/** What is decided, and not told yet. */
export const decided = signal(/** @type {Decision[]} */ ([]));

/** @param {string} id */
export const isDecided = (id) => decided.value.some((each) => each.ids.includes(id));

/** @param {Kind} kind @param {string[]} ids @param {Details} [details] */
export function decide(kind, ids, details = {}) {
  const made = /** @type {Decision} */ ({ ids, kind, ...details });
  const [one, many] = WORDS[kind];
  made.close = toast(ids.length > 1 ? many(ids.length) : one, { undo: () => take(made), time: UNDO });
  made.timer = setTimeout(() => tell(made), UNDO);
  decided.value = [...decided.value, made];
  keep();
}

/** Tells what the page before this one could not. */
export async function tellLeft() {
  const due = left;
  left = [];
  for (const each of due) await send(each).catch(() => {}); // it waits no more, or still
  keep();
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
  } catch {
    return [];
  }
}

function keep() {
  try {
    const all = [...left, ...decided.value.filter((each) => !each.isTold)];
    if (all.length) sessionStorage.setItem(KEPT, JSON.stringify(all.map(({ ids, kind, text, stays, group }) => ({ ids, kind, text, stays, group }))));
    else sessionStorage.removeItem(KEPT);
  } catch {
    // A browser that keeps nothing.
  }
}

/** Takes back the last one; tells whether there was one. */
export function undoLast() {
  const last = decided.value.findLast((each) => !each.isTold);
  if (last) {
    last.close();
    take(last);
  }
  return Boolean(last);
}

/** Tells all at once, as when somebody leaves the screen. */
export const tellAll = () => Promise.all(decided.value.map(tell));

/** @param {Decision} taken */
function take(taken) {
  if (!decided.value.includes(taken) || taken.isTold) throw new Error("It is too late: that was told already.");
  clearTimeout(taken.timer);
  decided.value = decided.value.filter((each) => each !== taken);
  keep();
}

/** @param {Decision} due */
async function tell(due) {
  if (!decided.value.includes(due) || due.isTold) return;
  clearTimeout(due.timer);
  due.close();
  due.isTold = true;
  await send(due).catch(fail);
  keep();
  // Not shown again until the list was asked anew.
  setTimeout(() => (decided.value = decided.value.filter((each) => each !== due)), 600);
}

async function send({ kind, ids, text, stays, group }) {
  if (kind === "apart") return setApart([group], true);
  if (kind === "reject") return api.post("memory/inbox/reject", { ids });
  // Nothing is forgotten for the sake of one that is gone meanwhile.
  if (kind === "forget") {
    await api.get(`memory/records/${segment(stays)}`);
    return api.post("memory/many/forget", { ids });
  }
  for (const id of ids) {
    await (kind === "accept" ? api.post(`memory/inbox/accept/${segment(id)}`, text === undefined ? {} : { text })
      : api.post("memory/supersede", { old: id, new: stays })).catch((error) => {
      // Somebody else was faster: it waits no more.
      if (error.type !== "not_found") throw error;
    });
  }
  return undefined;
}
