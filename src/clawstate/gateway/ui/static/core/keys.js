// Keyboard shortcuts, and the commands that Ctrl-K reaches.
//
//   useKeys("Sessions", { j: ["Next session", next], "Shift+D": ["Delete", remove], "/": [..., ...] });
//   useCommands([{ id: "sessions.prune", title: "Prune sessions", scope: "admin", run: openPrune }]);
//
// Keys are those of KeyboardEvent.key, with "Ctrl+", "Alt+" and "Shift+" before them ("Ctrl" is also
// the Command key of a Mac; Shift only where the key itself does not show it). "g o" means one key
// after the other. A single key does nothing while somebody writes in a field or a dialog is open.
// What a component registers goes when it goes; `?` lists all that work at the moment.

import { signal, useEffect, useRef } from "./lib.js";

/**
 * @typedef {{id: string, title: string, hint?: string, keys?: string, scope?: string,
 *   run: () => void}} Command
 */

/** All shortcuts of the moment, by the name of their group. */
export const shortcuts = signal(/** @type {{group: string, keys: Record<string, [string, Function]>}[]} */ ([]));

/** All commands of the moment. */
export const commands = signal(/** @type {Command[]} */ ([]));

const sets = /** @type {Set<{group: string, current: Record<string, [string, Function]>}>} */ (new Set());
const lists = /** @type {Set<{current: Command[]}>} */ (new Set());
let first = "", firstAt = 0;

/**
 * @param {string} group how the list of shortcuts calls them
 * @param {Record<string, [string, (event: KeyboardEvent) => void]>} keys
 */
export function useKeys(group, keys) {
  const held = useRef({ group, current: keys }).current;
  held.current = keys;
  useEffect(() => {
    sets.add(held);
    tellShortcuts();
    return () => {
      sets.delete(held);
      tellShortcuts();
    };
  }, []);
}

/** @param {Command[]} found */
export function useCommands(found) {
  const held = useRef({ current: found }).current;
  held.current = found;
  const names = found.map((each) => each.id).join(" ");
  useEffect(() => {
    lists.add(held);
    tellCommands();
    return () => {
      lists.delete(held);
      tellCommands();
    };
  }, [names]);
}

function tellShortcuts() {
  shortcuts.value = [...sets].map((each) => ({ group: each.group, keys: each.current }));
}

function tellCommands() {
  // The newest first: those of the screen before those of the shell.
  commands.value = [...lists].reverse().flatMap((each) => each.current.map((command) => ({
    ...command,
    run: () => each.current.find((one) => one.id === command.id)?.run(),
  })));
}

/** How a pressed key is written. @param {KeyboardEvent} event */
export function nameOf(event) {
  const key = event.key === " " ? "Space" : event.key;
  const isLetter = key.length === 1;
  return (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + (event.altKey ? "Alt+" : "")
    + (event.shiftKey && (!isLetter || /[a-zA-Z]/.test(key)) ? "Shift+" : "")
    + (isLetter && /[a-zA-Z]/.test(key) ? (event.shiftKey ? key.toUpperCase() : key.toLowerCase()) : key);
}

/** Whether keys are text at the moment. @param {EventTarget|null} target */
export const isWriting = (target) => target instanceof HTMLElement
  && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  && !/^(checkbox|radio|button)$/.test(/** @type {HTMLInputElement} */ (target).type);

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const name = nameOf(event);
  const isPlain = !/^(Ctrl|Alt)\+|^F\d+$/.test(name);
  if (isPlain && (isWriting(event.target) || document.querySelector("dialog[open]"))) return;
  const pair = Date.now() - firstAt < 1200 ? `${first} ${name}` : "";
  first = name;
  firstAt = Date.now();
  for (const wanted of [pair, name]) {
    for (const { current } of [...sets].reverse()) {
      const found = wanted && current[wanted];
      if (!found) continue;
      event.preventDefault();
      first = "";
      found[1](event);
      return;
    }
  }
});
