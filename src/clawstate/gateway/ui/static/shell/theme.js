// Light or dark: as the system says, or as somebody chose here.

import { signal } from "../core/lib.js";

const KEPT = "clawstate.theme";

/** "", "light" or "dark". */
export const theme = signal(read());

export function applyTheme() {
  const chosen = theme.value;
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
}

export function switchTheme() {
  const isDark = theme.value ? theme.value === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme.value = isDark ? "light" : "dark";
  try {
    localStorage.setItem(KEPT, theme.value);
  } catch {
    // Kept until the page is closed.
  }
  applyTheme();
}

function read() {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}
