// Asks the gateway. Every call gives what the answer holds, or throws an `ApiError`.
//
//   const { records, next } = await api.get("memory/records", { query: { limit: 50, tag: ["a", "b"] } });
//   const { data, etag } = await api.ask("GET", `memory/records/${segment(id)}`);
//   await api.patch(`memory/records/${segment(id)}`, { text }, { ifMatch: etag });  // 412 -> type "changed"
//   const all = await everything("sessions", "sessions");     // all pages of a list
//
// A path is relative to /api/v1. `signal` aborts: an aborted call throws an error for which
// `isAbort(error)` is true, and which nobody should be shown.

import { computed, signal } from "./lib.js";

const BASE = "/api/v1/";
const KEPT = "clawstate.token";

/** Why nothing was done: `type` as docs/reference/http.md has it, and a sentence for people. */
export class ApiError extends Error {
  /** @param {string} type @param {string} message @param {number} status */
  constructor(type, message, status) {
    super(message);
    this.name = "ApiError";
    this.type = type;
    this.status = status;
  }
}

/** @typedef {{deviceId: string|null, name: string|null, role: string, scopes: string[], command: string}} Who `command`: what commands begin with */

/** Whose the token is: `null` while nobody is signed in. @type {import("./lib.js").Signal<Who|null>} */
export const who = signal(/** @type {Who|null} */ (null));

/** "starting", "out" (show the page for signing in) or "in". */
export const session = signal("starting");

/** Why somebody is signed out, for the page that says so. */
export const signedOutBecause = signal("");

let token = read();

/**
 * Whether the token allows something: "read", "write", "pairing" or "admin".
 * Reading it in a component subscribes that, so buttons come and go with the token.
 * @param {"read"|"write"|"pairing"|"admin"} scope
 */
export const can = (scope) => granted.value.has(scope);

const granted = computed(() => {
  const found = new Set((who.value?.scopes ?? []).map((each) => each.replace("operator.", "")));
  if (found.has("admin")) ["read", "write", "pairing"].forEach((each) => found.add(each));
  if (found.has("write")) found.add("read");
  return found;
});

/** The token, for what cannot go through `ask`, such as a WebSocket. */
export const bearer = () => token;

/** Encodes one segment of a path. @param {string} text */
export const segment = (text) => encodeURIComponent(text);

/** @param {unknown} error */
export const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

/**
 * Sends one request.
 * @param {string} method
 * @param {string} path below /api/v1, or absolute with a leading slash
 * @param {{query?: Record<string, any>, body?: any, ifMatch?: string|null, signal?: AbortSignal,
 *   open?: boolean}} [options] `body` is sent as JSON, a Blob or ArrayBuffer as it is; an `undefined`
 *   or `null` member of `query` is left out, an array is repeated; `open` sends no token
 * @returns {Promise<{data: any, etag: string|null, status: number}>}
 */
export async function ask(method, path, options = {}) {
  const { query, body, ifMatch, signal: aborted, open = false } = options;
  const headers = /** @type {Record<string, string>} */ ({ Accept: "application/json" });
  if (token && !open) headers.Authorization = `Bearer ${token}`;
  if (ifMatch) headers["If-Match"] = ifMatch;
  let sent;
  if (body instanceof Blob || body instanceof ArrayBuffer) {
    headers["Content-Type"] = "application/octet-stream";
    sent = body;
  } else if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    sent = JSON.stringify(body);
  }
  const url = (path.startsWith("/") ? path : BASE + path) + search(query);
  let answer;
  try {
    answer = await fetch(url, { method, headers, body: sent, signal: aborted, credentials: "omit" });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError("offline", "the gateway does not answer; is it running?", 0);
  }
  const text = await answer.text();
  const isJson = answer.headers.get("content-type")?.startsWith("application/json");
  const data = isJson && text ? JSON.parse(text) : text;
  if (answer.ok) return { data, etag: answer.headers.get("etag"), status: answer.status };
  const told = data?.error ?? { type: "internal", message: `the gateway answered ${answer.status}` };
  if (answer.status === 401 && !open) signOut(told.message);
  throw new ApiError(told.type, told.message, answer.status);
}

const data = async (/** @type {Parameters<typeof ask>} */ ...given) => (await ask(...given)).data;

/** The verbs that most need: each gives the data alone. */
export const api = {
  ask,
  get: (path, options) => data("GET", path, options),
  post: (path, body, options) => data("POST", path, { ...options, body }),
  put: (path, body, options) => data("PUT", path, { ...options, body }),
  patch: (path, body, options) => data("PATCH", path, { ...options, body }),
  del: (path, options) => data("DELETE", path, options),
};

/**
 * Gives a list page by page. `for await (const items of pages("sessions", "sessions"))`.
 * @param {string} path
 * @param {string} member which member of the answer holds the items
 * @param {{query?: Record<string, any>, signal?: AbortSignal}} [options]
 */
export async function* pages(path, member, options = {}) {
  let after;
  do {
    const query = { limit: 500, ...options.query, after };
    const found = await api.get(path, { ...options, query });
    yield found[member];
    after = found.next;
  } while (after);
}

/** All items of a list, such as for a download. @type {(...given: Parameters<typeof pages>) => Promise<any[]>} */
export async function everything(...given) {
  const found = [];
  for await (const items of pages(...given)) found.push(...items);
  return found;
}

/**
 * Signs in by what stands in the fragment of a link (`#token=...`), or by the token that is kept.
 * @returns {Promise<void>}
 */
export async function start() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    // Out of the address first: it is good once, and must not stay in the history.
    history.replaceState(null, "", location.pathname + location.search);
    try {
      await signInBy(given);
      return;
    } catch (error) {
      // A link that was used in this very browser is no reason to sign anybody out.
      if (!token) return signOut(/** @type {Error} */ (error).message);
    }
  }
  if (!token) {
    session.value = "out";
    return;
  }
  await learnWho();
}

/** @param {string} ticket */
export async function signInBy(ticket) {
  const body = { ticket, name: browserName() };
  const made = await api.post("sign-in", body, { open: true });
  await useToken(made.token);
}

/** Takes a token that was given by pairing or by hand. @param {string} text */
export async function useToken(text) {
  const before = token;
  token = text.trim();
  try {
    await learnWho();
  } catch (error) {
    token = before;
    throw error;
  }
  try {
    localStorage.setItem(KEPT, token);
  } catch {
    // A browser that keeps nothing: signed in until the page is closed.
  }
}

/** Forgets the token here. @param {string} [because] */
export function signOut(because = "") {
  token = "";
  try {
    localStorage.removeItem(KEPT);
  } catch {
    // There was none.
  }
  who.value = null;
  signedOutBecause.value = because;
  session.value = "out";
}

/** Signs out here and at the gateway. */
export async function leave() {
  await api.del("sign-in").catch(() => {});
  signOut();
}

async function learnWho() {
  try {
    who.value = await api.get("sign-in");
    signedOutBecause.value = "";
    session.value = "in";
  } catch (error) {
    if (!(error instanceof ApiError) || error.type !== "offline" || !token) throw error;
    // Without a network the page still opens; what it may do is known once the gateway is back.
    session.value = "in";
  }
}

/** Asks again who is signed in, as after the gateway came back. */
export const learnAgain = () => (session.value === "in" ? learnWho().catch(() => {}) : undefined);

function read() {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

/** What this browser is called in the list of devices. */
export function browserName() {
  const agent = navigator.userAgent;
  const name = /Edg\//.test(agent) ? "Edge" : /Firefox\//.test(agent) ? "Firefox"
    : /Chrome\//.test(agent) ? "Chrome" : /Safari\//.test(agent) ? "Safari" : "Browser";
  const system = /Android/.test(agent) ? "Android" : /iPhone|iPad/.test(agent) ? "iOS"
    : /Windows/.test(agent) ? "Windows" : /Mac OS/.test(agent) ? "macOS" : "Linux";
  return `${name} on ${system}`;
}

/** @param {Record<string, any>} [query] */
function search(query) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== "") found.append(name, String(each));
    }
  }
  const text = found.toString();
  return text && `?${text}`;
}
