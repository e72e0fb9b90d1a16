// Where the page begins.

import { start, session } from "./core/api.js";
import { arrive } from "./core/arrival.js";
import { html, render, scriptUrl } from "./core/lib.js";
import { applyTheme } from "./shell/theme.js";
import { App, loadScreen } from "./shell/app.js";

applyTheme();
arrive();
loadScreen(location.pathname);
const place = /** @type {HTMLElement} */ (document.getElementById("app"));
start().catch(() => (session.value = session.value === "starting" ? "out" : session.value));
render(html`<${App} />`, place);

if ("serviceWorker" in navigator && isSecureContext) {
  addEventListener("load", () => {
    navigator.serviceWorker.register(/** @type {any} */ (scriptUrl("/sw.js"))).then(() => {
      // What other screens need is kept once this one is at rest.
      setTimeout(async () => (await navigator.serviceWorker.ready).active?.postMessage("rest"), 8_000);
    }).catch(() => {
      // A page that cannot be kept is a page all the same.
    });
  });
}
