// The state of a screen is in the address: its path and its query. So a link leads to exactly what
// you see, the way back works, and two tabs can show two things.
//
//   route.value                          -> { path: "/sessions/abc", query: { q: "tea", tag: ["a"] } }
//   navigate("/sessions", { q: "tea" })  // a step in the history
//   setQuery({ q: "tea" })               // changes members, keeps the rest; "" or null removes one
//   setQuery({ q }, { replace: true })   // no step in the history, as while somebody types
//   match("/sessions/:id", path)         -> { id: "abc" } or null; a last `:id*` takes slashes too
//   html`<${Link} to="/sessions" query=${{ q: "tea" }}>All<//>`
//
// A member of `query` is a string, or an array of strings where it stands more than once; use
// `list(query.tag)` for what may be either.

import { html, signal } from "./lib.js";

/** @typedef {{path: string, query: Record<string, string|string[]>}} Place */

/** Where the page is. @type {{value: Place}} */
export const route = signal(read());

/** @param {string|string[]|undefined} value @returns {string[]} */
export const list = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

/**
 * The address of a place. @param {string} path @param {Record<string, any>} [query]
 */
export function href(path, query = {}) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== "") found.append(name, String(each));
    }
  }
  const text = found.toString();
  return path + (text && `?${text}`);
}

/**
 * @param {string} path @param {Record<string, any>} [query] @param {{replace?: boolean}} [options]
 */
export function navigate(path, query = {}, { replace = false } = {}) {
  const to = href(path, query);
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", to);
  else {
    history.pushState(null, "", to);
    if (path !== route.value.path) scrollTo(0, 0);
  }
  route.value = read();
}

/** @param {Record<string, any>} changes @param {{replace?: boolean}} [options] */
export const setQuery = (changes, options) =>
  navigate(route.value.path, { ...route.value.query, ...changes }, options);

/**
 * @param {string} pattern @param {string} path
 * @returns {Record<string, string>|null}
 */
export function match(pattern, path) {
  const wanted = pattern.split("/"), given = path.split("/");
  const found = /** @type {Record<string, string>} */ ({});
  for (let i = 0; i < wanted.length; i++) {
    const name = wanted[i];
    if (name.startsWith(":") && name.endsWith("*")) {
      if (given.length <= i) return null;
      found[name.slice(1, -1)] = decode(given.slice(i).join("/"));
      return found;
    }
    if (name.startsWith(":") && given[i]) found[name.slice(1)] = decode(given[i]);
    else if (name !== given[i]) return null;
  }
  return wanted.length === given.length ? found : null;
}

/**
 * A link within the page; with a modifier or the middle button the browser does as ever.
 * @param {{to: string, query?: Record<string, any>, children?: any, [name: string]: any}} props
 */
export function Link({ to, query, children, onClick, ...rest }) {
  const follow = (/** @type {MouseEvent} */ event) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    navigate(to, query);
  };
  return html`<a href=${href(to, query)} onClick=${follow} ...${rest}>${children}</a>`;
}

addEventListener("popstate", () => (route.value = read()));

function read() {
  const query = /** @type {Record<string, string|string[]>} */ ({});
  for (const [name, value] of new URLSearchParams(location.search)) {
    query[name] = name in query ? [...list(query[name]), value] : value;
  }
  return { path: location.pathname, query };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
