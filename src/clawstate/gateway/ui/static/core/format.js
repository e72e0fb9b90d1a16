// Numbers, sizes, times and texts as people read them.
//
//   bytes(1536) -> "1.5 kB"     count(1234567) -> "1,234,567"     when(ms) -> "3 min ago"
//   fully(ms)   -> "30 November 2026 at 17:49:42"                  duration(0.0423) -> "42 ms"
//   pieces(text) -> [{ text }, { control: "ESC", text: "␛" }, ...]  // for parts/text.js, which shows them
//
// Hostile text never acts: what others wrote is shown by <Text> of parts/text.js, which keeps its
// direction to itself and makes visible what a terminal or the bidi algorithm would obey.

const NUMBERS = new Intl.NumberFormat(undefined);
const SHORT = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "medium" });

/** @param {number} value */
export const count = (value) => NUMBERS.format(value);

/** @param {number} value */
export const shortly = (value) => SHORT.format(value);

/** @param {number|null|undefined} value */
export function bytes(value) {
  if (value === null || value === undefined) return "";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value, unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${unit && size < 100 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (!seconds) return "0";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

const STEPS = /** @type {[Intl.RelativeTimeFormatUnit, number][]} */ ([
  ["second", 60], ["minute", 60], ["hour", 24], ["day", 7],
]);

/** A moment as seen from now; the day itself once it is more than a week away. @param {number} ms */
export function when(ms, now = Date.now()) {
  let away = (ms - now) / 1000;
  if (Math.abs(away) < 45) return away > 0 ? "in a moment" : "just now";
  for (const [unit, size] of STEPS) {
    if (Math.abs(away) < size) return RELATIVE.format(Math.round(away), unit);
    away /= size;
  }
  return DAY.format(ms);
}

/** @param {number} ms */
export const fully = (ms) => FULL.format(ms);

/** @param {number} ms */
export const day = (ms) => DAY.format(ms);

// C0 without tab and line feed, DEL, C1; marks that steer direction; what takes no room; tags.
// eslint-disable-next-line no-control-regex
const CONTROL = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;

const NAMES = /** @type {Record<string, string>} */ ({
  "\x1b": "ESC", "\x7f": "DEL", "\r": "CR", "\u061c": "ALM", "\u200b": "ZWSP", "\u200e": "LRM",
  "\u200f": "RLM", "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO",
  "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\u2028": "LINE SEPARATOR",
  "\u2029": "PARAGRAPH SEPARATOR", "\ufeff": "BOM",
});

/**
 * Takes a text apart into what is shown as it is, and what is only named.
 * @param {string} text
 * @returns {{text: string, control?: string}[]}
 */
export function pieces(text) {
  const found = [];
  let done = 0;
  for (const each of text.replaceAll("\r\n", "\n").matchAll(CONTROL)) {
    if (each.index > done) found.push({ text: each.input.slice(done, each.index) });
    found.push(named(each[0]));
    done = each.index + each[0].length;
  }
  const rest = text.replaceAll("\r\n", "\n").slice(done);
  if (rest || !found.length) found.push({ text: rest });
  return found;
}

/** A text on one line in which nothing is hidden, for titles and names of buttons. @param {string} text */
export const plainly = (text) => pieces(text).map((each) => (each.control ? each.text : each.text)).join("");

/** @param {string} mark */
function named(mark) {
  const code = /** @type {number} */ (mark.codePointAt(0));
  if (mark.length > 1 && code === 0x1b) {
    return { text: `␛${pieces(mark.slice(1)).map((each) => each.text).join("")}`, control: "terminal sequence" };
  }
  const name = NAMES[mark] ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  if (code < 0x20) return { text: String.fromCodePoint(0x2400 + code), control: name };
  return { text: `⟨${name}⟩`, control: name };
}

/** The part of a text that is shown at first: so many characters, and not half of one. */
export function cut(/** @type {string} */ text, most = 4000, lines = 60) {
  let end = Math.min(text.length, most);
  for (let at = -1, seen = 0; seen < lines; seen++) {
    at = text.indexOf("\n", at + 1);
    if (at < 0 || at >= end) break;
    if (seen === lines - 1) end = at;
  }
  if (end < text.length && /[\ud800-\udbff]/.test(text[end - 1])) end--;
  return text.slice(0, end);
}

/** The last part of a path, to show where there is little room. @param {string} path */
export const fileName = (path) => path.split(/[\\/]/).filter(Boolean).pop() ?? path;
