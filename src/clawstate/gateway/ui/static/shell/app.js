// The frame around all screens: navigation, the banner of a lost connection, Ctrl-K, messages.

import { leave, session } from "../core/api.js";
import { connect, connection, disconnect, tryNow } from "../core/events.js";
import { classes, html, signal, useEffect, useErrorBoundary, useState } from "../core/lib.js";
import { useCommands, useKeys } from "../core/keys.js";
import { match, navigate, route } from "../core/router.js";
import { SCREENS } from "../core/screens.js";
import { forgetAnswers } from "../core/store.js";
import { addStyle } from "../core/styles.js";
import { Questions } from "../parts/dialog.js";
import { Failed, Waiting } from "../parts/small.js";
import { Toasts } from "../parts/toasts.js";
import { Icon } from "../parts/icon.js";
import { Button } from "../parts/button.js";
import { Navigation, screensOfMine } from "./navigation.js";
import { Later } from "../parts/later.js";
import { switchTheme } from "./theme.js";

/** Which of the two lists lies over the page: "", "palette" or "help". */
export const overlay = signal("");

export function App() {
  const state = session.value;
  useEffect(() => {
    if (state === "in") connect();
    else {
      disconnect();
      forgetAnswers();
    }
  }, [state]);
  if (state === "starting") return html`<main class="centre"><${Waiting} lines=${3} /></main>`;
  return html`<${Everywhere} isIn=${state === "in"} />
    ${state === "in" ? html`<${Frame} />` : html`<${Lazy} id="sign-in" load=${signInPage} style="sign-in.css" />`}
    ${overlay.value === "palette" && html`<${Later} load=${palette} onClose=${closeOverlay} />`}
    ${overlay.value === "help" && html`<${Later} load=${help} onClose=${closeOverlay} />`}
    <${Questions} /><${Toasts} />`;
}

const signInPage = () => import("../views/sign-in.js");
const palette = () => import("./palette.js");
const help = () => import("./help.js");
const closeOverlay = () => (overlay.value = "");

/** Keys and commands that work on every screen. */
function Everywhere({ isIn }) {
  const mine = isIn ? screensOfMine() : [];
  const openPalette = () => (overlay.value = "palette");
  useKeys("Everywhere", isIn ? {
    "Ctrl+k": ["Go to, or do, anything", openPalette],
    "?": ["These shortcuts", () => (overlay.value = "help")],
    ...Object.fromEntries(mine.map((each) => [`g ${each.key}`, [each.title, () => navigate(each.path)]])),
  } : {});
  useCommands(isIn ? [
    ...mine.map((each) => ({
      id: `go.${each.id}`, title: each.title, hint: `Screen ${each.words ?? ""}`, keys: `g ${each.key}`,
      run: () => navigate(each.path),
    })),
    { id: "theme", title: "Switch between light and dark", hint: "colour theme", run: switchTheme },
    { id: "help", title: "Keyboard shortcuts", keys: "?", run: () => (overlay.value = "help") },
    { id: "sign-out", title: "Sign out", hint: "leave log out", run: leave },
  ] : []);
  return null;
}

function Frame() {
  const { path, query } = route.value;
  const mine = screensOfMine();
  const found = findScreen(path, mine);
  const home = mine[0];
  useEffect(() => {
    if (!found && path === "/" && home) navigate(home.path, query, { replace: true });
  }, [path]);
  useEffect(() => {
    document.title = found ? `${found.screen.title} · clawstate` : "clawstate";
  }, [found?.screen.id]);
  return html`<div class="frame">
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.getElementById("main")?.focus();
    }}>Skip to the content</a>
    <${Navigation} current=${found?.screen.id} onSearch=${() => (overlay.value = "palette")} onHelp=${() => (overlay.value = "help")} />
    <div class="page">
      <${Banner} />
      <main id="main" tabindex="-1">
        ${found ? html`<${Lazy} key=${found.screen.id} id=${found.screen.id} load=${found.screen.load} style=${found.screen.style}
            params=${found.params} query=${query} />`
          : path !== "/" && html`<div class="empty"><${Icon} name="map" size="30" /><h2>There is no such page</h2>
            <p>Go on with one of the navigation, or press Ctrl-K.</p></div>`}
      </main>
    </div>
  </div>`;
}

/** @param {string} path @param {import("../core/screens.js").Screen[]} mine */
function findScreen(path, mine) {
  for (const screen of mine) {
    for (const pattern of [screen.path, ...(screen.patterns ?? [])]) {
      const params = match(pattern, path);
      if (params) return { screen, params };
    }
  }
  return null;
}

/** Begins to load the screen of an address, before anybody knows who is there. @param {string} path */
export const loadScreen = (path) => findScreen(path, SCREENS)?.screen.load().catch(() => {});

function Banner() {
  const isLost = connection.value === "lost";
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    if (!isLost) return setLong(false);
    // A gateway that only starts again is back before anybody has to know.
    const timer = setTimeout(() => setLong(true), 700);
    return () => clearTimeout(timer);
  }, [isLost]);
  return html`<div role="status" class=${classes("banner", isLost && isLong && "shown")}>
    ${isLost && isLong && html`<${Icon} name="warning" /><span>Connection lost: what you see may be old. Trying again…</span>
      <${Button} size="small" onClick=${tryNow}>Try now<//>`}
  </div>`;
}

const loaded = /** @type {Map<string, any>} */ (new Map());

/** A screen whose module comes when it is shown first. */
function Lazy({ id, load, style, ...props }) {
  const [, again] = useState(0);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [broken, reset] = useErrorBoundary((error) => console.error(error));
  const Screen = loaded.get(id);
  useEffect(() => {
    if (Screen) return;
    Promise.all([load(), style && addStyle(`style/${style}`)]).then(([module]) => {
      loaded.set(id, module.default);
      again((n) => n + 1);
    }, setProblem);
  }, [id]);
  if (broken) return html`<${Failed} error=${`This screen failed: ${broken.message}`} again=${reset} />`;
  if (problem) {
    // Most often the gateway is another version than this page by now.
    return html`<${Failed} error="This screen could not be loaded." again=${() => location.reload()} />`;
  }
  return Screen ? html`<${Screen} ...${props} />` : html`<${Waiting} />`;
}

