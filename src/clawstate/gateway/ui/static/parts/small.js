// Small things that many screens show.
//
//   html`<${Badge} kind="good">paired<//>`             kind: "", "good", "warn", "bad", "accent"
//   html`<${Time} ms=${record.createdAtMs} />`         "3 min ago"; the exact time on hover and for readers
//   html`<${Chip} label="tag" value="tea" onRemove=${...} />`   a filter that is on
//   html`<${Progress} value=${3} of=${10} label="Importing" />`  without `of` it only shows that it works
//   html`<${Empty} icon="inbox" title="Nothing waits" command="clawstate memory inbox">What this is for.<//>`
//   html`<${Failed} error=${error} again=${refresh} />`, html`<${Waiting} lines=${6} />`
//   html`<${Facts} of=${[["Records", "1,204"], ["Engine", "sqlite"]]} />`

import { fully, when } from "../core/format.js";
import { classes, html, signal, useEffect, useState } from "../core/lib.js";
import { Button, IconButton } from "./button.js";
import { Icon } from "./icon.js";
import { Command, Text } from "./text.js";

/** @param {{kind?: string, children?: any, title?: string}} props */
export const Badge = ({ kind, children, title }) =>
  html`<span class=${classes("badge", kind)} title=${title}>${children}</span>`;

const minute = signal(0);
setInterval(() => document.hidden || minute.value++, 30_000);

/** @param {{ms: number|null|undefined}} props */
export function Time({ ms }) {
  minute.value; // "3 min ago" gets older while it is shown
  if (!ms) return null;
  return html`<time datetime=${new Date(ms).toISOString()} title=${fully(ms)}>${when(ms)}</time>`;
}

/** @param {{label?: string, value: string, onRemove?: () => void, onClick?: () => void}} props */
export const Chip = ({ label, value, onRemove, onClick }) => html`<span class="chip">
  ${label && html`<span class="chip-label">${label}</span>`}
  ${onClick ? html`<button type="button" class="chip-value" onClick=${onClick}><${Text} value=${value} /></button>`
    : html`<${Text} class="chip-value" value=${value} />`}
  ${onRemove && html`<${IconButton} icon="close" label=${`Remove ${label ?? ""} ${value}`} onClick=${onRemove} />`}
</span>`;

/** @param {{value?: number, of?: number, label: string}} props */
export const Progress = ({ value = 0, of, label }) => html`<div class="progress">
  <progress aria-label=${label} value=${of ? value : undefined} max=${of ?? 1}></progress>
  <span>${label}${of ? ` ${value} of ${of}` : ""}</span></div>`;

/** @param {{icon?: string, title: string, command?: string, children?: any, actions?: any}} props */
export const Empty = ({ icon = "info", title, command, children, actions }) => html`<div class="empty">
  <${Icon} name=${icon} size="30" /><h2>${title}</h2>
  ${children && html`<p>${children}</p>`}
  ${command && html`<${Command}>${command}<//>`}
  ${actions && html`<div class="actions">${actions}</div>`}
</div>`;

/** @param {{error: any, again?: () => any}} props */
export const Failed = ({ error, again }) => html`<div class="notice bad" role="alert"><${Icon} name="warning" />
  <div><${Text} value=${error?.message ?? error} /></div>
  ${again && html`<${Button} size="small" onClick=${again}>Try again<//>`}</div>`;

/** Where something will be; it appears only after a moment, since most answers are faster. @param {{lines?: number}} props */
export function Waiting({ lines = 4 }) {
  const [isShown, show] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => show(true), 250);
    return () => clearTimeout(timer);
  }, []);
  return html`<div class="waiting" role="status" aria-label="Loading">
    ${isShown && Array.from({ length: lines }, () => html`<div class="bone"></div>`)}</div>`;
}

/** @param {{of: [any, any][]}} props those without a value are left out */
export const Facts = ({ of }) => html`<dl class="facts">
  ${of.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false).map(([name, value]) =>
    html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
