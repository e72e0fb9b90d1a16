// One entry of a transcript: words, thoughts, calls of tools and what they gave, pictures, notes.

import { bytes, count } from "../core/format.js";
import { classes, html, useEffect, useState } from "../core/lib.js";
import { Link } from "../core/router.js";
import { Badge, Time } from "../parts/small.js";
import { Block, Code, Text } from "../parts/text.js";

const NAMES = { user: "User", assistant: "Agent", toolResult: "Result", system: "System" };
// Only what browsers draw without running anything: an SVG could hold more than a picture.
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const OWN = new Set(["id", "parentId", "type", "timestamp", "timestampMs"]);

/** The parts of what was said. @param {any} message @returns {any[]} */
export function partsOf(message) {
  const { content } = message;
  if (typeof content === "string") return [{ type: "text", text: content }];
  if (Array.isArray(content)) return content.map((each) => (each && typeof each === "object" ? each : { type: "text", text: String(each) }));
  return [];
}

/** The words of a message, without thoughts, tools and pictures. @param {any} message */
export const wordsOf = (message) => partsOf(message).filter((each) => each.type === "text").map((each) => each.text ?? "").join("\n");

/** @param {any} props */
export function Message({ message, place, marks, isMeant, follows, forks, born }) {
  const isNote = message.type !== "message" && !message.role;
  const role = message.role ?? message.type;
  return html`<article class=${classes("said", `said-${isNote ? "note" : role}`, isMeant && "meant")} id=${`m-${message.id}`} aria-label=${`${NAMES[role] ?? role}`}>
    <header class="line small"><b><${Text} value=${message.toolName ? `Result of ${message.toolName}` : NAMES[role] ?? role} /></b>
      ${message.isError && html`<${Badge} kind="bad">failed<//>`}
      <${Link} class="soft" to=${place} query=${{ m: message.id }} title="A link to this message"><${Time} ms=${message.timestampMs} /><//>
      ${message.model && html`<span class="soft"><${Text} value=${message.model} /></span>`}
      ${follows && html`<${Link} to=${place} query=${{ m: follows }}>goes on from an earlier message<//>`}
      ${forks > 1 && html`<${Badge} kind="accent">${forks} branches<//>`}
      ${born?.map((record) => html`<${Link} class="badge good" to=${`/memory/${encodeURIComponent(record.id)}`} title=${record.text.slice(0, 200)}>remembered<//>`)}
    </header>
    ${isNote ? html`<${Note} message=${message} />`
      : role === "toolResult" ? html`<${Folded} title="What it gave" size=${sizeOf(message)}><${Parts} parts=${partsOf(message)} marks=${marks} isPlain /><//>`
        : html`<${Parts} parts=${partsOf(message)} marks=${marks} />`}
  </article>`;
}

const Parts = ({ parts, marks, isPlain }) => parts.map((part) => {
  const kind = part.type;
  if (kind === "text") return isPlain ? html`<${Code} value=${part.text ?? ""} />` : html`<${Block} value=${part.text ?? ""} marks=${marks} />`;
  if (kind === "thinking") return html`<${Folded} title="Thinking"><${Block} value=${part.thinking ?? ""} class="soft" /><//>`;
  if (kind === "toolCall" || kind === "tool_use") return html`<${Call} part=${part} />`;
  if (kind === "image") return html`<${Picture} part=${part} />`;
  return html`<${Folded} title=${String(kind ?? "Something else")}><${Code} value=${JSON.stringify(part, null, 2)} /><//>`;
});

function Call({ part }) {
  const given = part.arguments ?? part.input ?? {};
  const text = typeof given === "string" ? given : JSON.stringify(given, null, 2);
  const short = typeof given === "object" && given ? Object.values(given).map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join(" ") : text;
  return html`<${Folded} title=${part.name ?? "A tool"} hint=${(short ?? "").slice(0, 120)} isCall><${Code} value=${text} /><//>`;
}

/** What waits behind its title, and is only made once somebody opens it. */
function Folded({ title, hint, size, isCall, children }) {
  const [isOpen, setOpen] = useState(false);
  return html`<details class=${classes("folded", isCall && "call")} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary><b><${Text} value=${title} /></b>${hint && html`<span class="soft hint"><${Text} value=${hint} /></span>`}
      ${size && html`<span class="soft">${size}</span>`}</summary>
    ${isOpen && html`<div class="folded-body">${children}</div>`}</details>`;
}

function sizeOf(message) {
  const length = wordsOf(message).length, pictures = partsOf(message).filter((each) => each.type === "image").length;
  return [`${count(length)} ${length === 1 ? "character" : "characters"}`, pictures && `${pictures} pictures`].filter(Boolean).join(", ");
}

/** A picture that lies in the transcript itself; one from elsewhere is named, and never fetched. */
function Picture({ part }) {
  const media = part.mimeType ?? part.source?.media_type ?? "", data = part.data ?? part.source?.data;
  const [url, setUrl] = useState("");
  const [isShown, show] = useState(false);
  useEffect(() => {
    if (!isShown || url) return undefined;
    const made = URL.createObjectURL(blobOf(data, media));
    setUrl(made);
    return undefined;
  }, [isShown]);
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  if (typeof data !== "string" || !PICTURES.has(media)) {
    return html`<p class="soft small">An attachment that is not shown: <${Text} value=${media || part.url || part.type} /></p>`;
  }
  return html`<div class="picture">${url ? html`<img src=${url} alt="A picture in this message" />`
    : html`<button type="button" class="button small" onClick=${() => show(true)}>Show the picture (${media.slice(6)}, ${bytes(data.length * 0.75)})</button>`}</div>`;
}

function blobOf(data, media) {
  try {
    return new Blob([Uint8Array.from(atob(data), (each) => each.charCodeAt(0))], { type: media });
  } catch {
    return new Blob([], { type: media });
  }
}

function Note({ message }) {
  const rest = Object.fromEntries(Object.entries(message).filter(([name]) => !OWN.has(name)));
  const text = JSON.stringify(rest, null, 2);
  return html`<${Folded} title=${message.type} hint=${message.summary ?? text.replace(/[\s{}"]+/g, " ").slice(0, 120)}><${Code} value=${text} /><//>`;
}
