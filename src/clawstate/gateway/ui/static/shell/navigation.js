// The navigation: a bar at the side, and on a phone a bar at the bottom with a drawer for the rest.

import { can, leave, who } from "../core/api.js";
import { Count } from "../core/counts.js";
import { classes, html, useState } from "../core/lib.js";
import { Link } from "../core/router.js";
import { SCREENS } from "../core/screens.js";
import { IconButton } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Icon } from "../parts/icon.js";
import { Text } from "../parts/text.js";
import { switchTheme, theme } from "./theme.js";

const AT_THE_BOTTOM = 4;

/** The screens that the token opens. */
export const screensOfMine = () => SCREENS.filter((each) => who.value === null || can(each.scope));

export function Navigation({ current, onSearch, onHelp }) {
  const [isOpen, setOpen] = useState(false);
  const mine = screensOfMine();
  const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);
  return html`
    <header class="top">
      <${Link} to="/" class="brand" aria-label="clawstate, home"><${Mark} /><span>clawstate</span><//>
      <button type="button" class="find" onClick=${onSearch}><${Icon} name="search" size="16" /><span>Go to…</span>
        <kbd>${isMac ? "⌘K" : "Ctrl K"}</kbd></button>
      <nav aria-label="Screens" class="screens">${mine.map((each) => html`<${Entry} screen=${each} current=${current} />`)}</nav>
      <div class="foot">
        ${who.value && html`<div class="me"><${Icon} name="device" size="16" /><${Text} value=${who.value.name ?? "Owner"} />
          ${!can("write") && html`<span class="badge">read only</span>`}</div>`}
        <div class="foot-buttons">
          <${IconButton} icon=${theme.value === "light" ? "moon" : "sun"} label="Switch between light and dark" onClick=${switchTheme} />
          <${IconButton} icon="help" label="Keyboard shortcuts" onClick=${onHelp} />
          <${IconButton} icon="out" label="Sign out" onClick=${leave} />
        </div>
      </div>
    </header>
    <nav class="bottom" aria-label="Main screens">
      ${mine.slice(0, mine.length > AT_THE_BOTTOM + 1 ? AT_THE_BOTTOM : mine.length).map((each) => html`<${Entry} screen=${each} current=${current} />`)}
      <button type="button" class="entry" aria-haspopup="dialog" onClick=${() => setOpen(true)}><${Icon} name="menu" size="20" /><span>More</span></button>
    </nav>
    ${isOpen && html`<${Dialog} title="clawstate" side class="drawer" onClose=${() => setOpen(false)}>
      <nav aria-label="All screens" class="screens" onClick=${() => setOpen(false)}>
        ${mine.map((each) => html`<${Entry} screen=${each} current=${current} />`)}
        <button type="button" class="entry" onClick=${onSearch}><${Icon} name="command" /><span>Go to, or do, anything</span></button>
        <button type="button" class="entry" onClick=${switchTheme}><${Icon} name="sun" /><span>Light or dark</span></button>
        <button type="button" class="entry" onClick=${leave}><${Icon} name="out" /><span>Sign out</span></button>
      </nav><//>`}`;
}

const Entry = ({ screen, current }) => html`<${Link} to=${screen.path} class=${classes("entry", screen.id === current && "current")}
  aria-current=${screen.id === current ? "page" : undefined} title=${`${screen.title} (g ${screen.key})`}>
  <${Icon} name=${screen.icon} size="19" /><span>${screen.title}</span>${screen.count && html`<${Count} screen=${screen} />`}<//>`;

/** The mark of clawstate. */
export const Mark = () => html`<svg class="mark" viewBox="0 0 64 64" width="26" height="26" aria-hidden="true"><rect width="64" height="64" rx="14" />
  <path d="M19 46c-2-12 0-22 5-29M32 48c-2-13 0-25 5-33M45 46c-2-9-1-17 3-23" /></svg>`;
