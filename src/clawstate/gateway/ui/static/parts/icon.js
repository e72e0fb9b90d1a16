// Pictures of one line, drawn in the colour of the text: html`<${Icon} name="search" />`.
// They say nothing to a screen reader: what they stand beside has a name.

import { html } from "../core/lib.js";

const PATHS = /** @type {Record<string, string>} */ ({
  search: "M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13Zm4.800-1.700L20 20",
  chart: "M4 20V10m5.300 10V4m5.400 16v-7M20 20V7",
  inbox: "M4 13l2.500-8h11L20 13v6H4v-6Zm0 0h5a3 3 0 0 0 6 0h5",
  chat: "M4 5h16v11H9l-5 4V5Zm4 4h8m-8 3h5",
  map: "M5 18a1 1 0 1 0 0-2 1 1 0 0 0 0 2Zm4-8a1 1 0 1 0 0-2 1 1 0 0 0 0 2Zm5 6a1 1 0 1 0 0-2 1 1 0 0 0 0 2Zm5-9a1 1 0 1 0 0-2 1 1 0 0 0 0 2Zm0 11a1 1 0 1 0 0-2 1 1 0 0 0 0 2ZM13 5a1 1 0 1 0 0-2 1 1 0 0 0 0 2Z",
  clock: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16Zm0-12.500V12l3 2",
  key: "M8 16a4 4 0 1 1 3.600-5.700H20v3h-2v2.500h-3v-2.500h-3.400A4 4 0 0 1 8 16Zm0-4h.01",
  device: "M7 3h10v18H7V3Zm4 15h2",
  sliders: "M4 7h9m4 0h3M4 17h3m4 0h9M15 4.500v5M9 14.500v5",
  heart: "M12 19S4 14.500 4 9a4 4 0 0 1 8-1.200A4 4 0 0 1 20 9c0 5.500-8 10-8 10Z",
  menu: "M4 7h16M4 12h16M4 17h16",
  more: "M5.500 12h1M11.500 12h1M17.500 12h1",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v11H9V9Zm-4 6V4h10",
  check: "M5 12.500l4.500 4.500L19 7.500",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  lasso: "M9 17c-3-.500-5-2.500-5-5.500C4 7.500 7.500 5 12 5s8 2.500 8 6.500-3.500 6-8 6c-1 0-2-.100-3-.500Zm0 0a2 2 0 1 0-2 2c1.500 0 2 1 1.500 2.500",
  trash: "M5 7h14M10 7V4h4v3m3 0l-1 13H8L7 7",
  edit: "M4 20l1-4L16 5l3 3L8 19l-4 1Z",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1m2 4a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  download: "M12 4v11m-4.500-4.500L12 15l4.500-4.500M5 20h14",
  upload: "M12 16V5m-4.500 4.500L12 5l4.500 4.500M5 20h14",
  filter: "M4 6h16l-6 7v6l-4-2v-4L4 6Z",
  back: "M19 12H5m6-6l-6 6 6 6",
  next: "M9 5l7 7-7 7",
  down: "M5 9l7 7 7-7",
  file: "M6 3h8l4 4v14H6V3Zm8 0v4h4",
  tag: "M4 4h8l8 8-8 8-8-8V4Zm4 4h.01",
  undo: "M5 9h9a5 5 0 0 1 0 10H9M5 9l4-4M5 9l4 4",
  warning: "M12 4l9 16H3L12 4Zm0 6v4m0 3h.01",
  info: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16Zm0-9v5m0-8h.01",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm0-14v2m0 16v2M2 12h2m16 0h2M5 5l1.400 1.400m11.200 11.200L19 19M5 19l1.400-1.400M17.600 6.400L19 5",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500Z",
  out: "M14 5h5v14h-5M4 12h10m-4-4l4 4-4 4",
  replace: "M4 8h13l-3-3m6 11H7l3 3",
  help: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16Zm-2.300-10a2.400 2.400 0 1 1 3.500 2.100c-.8.400-1.200.9-1.200 1.700M12 16.500h.01",
  command: "M9 9h6v6H9V9Zm0 0H7a2 2 0 1 1 2-2v2Zm6 0V7a2 2 0 1 1 2 2h-2Zm0 6h2a2 2 0 1 1-2 2v-2Zm-6 0v2a2 2 0 1 1-2-2h2Z",
});

/** @param {{name: string, size?: number}} props */
export const Icon = ({ name, size = 18 }) => html`<svg class="icon" width=${size} height=${size} viewBox="0 0 24 24"
  fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"
  aria-hidden="true" focusable="false"><path d=${PATHS[name] ?? PATHS.info} /></svg>`;
