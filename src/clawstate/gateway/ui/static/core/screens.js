// All screens, in the order of the navigation. To add one: write views/<id>.js with a default export,
// a component that gets `{ params, query }`; add one entry here. docs/concepts/web-ui.md tells more.
//
// - `path`: where it is; `patterns`: further paths, as core/router.js matches them. The parts after ":"
//   come as `params`.
// - `icon`: a name of parts/icon.js. `key`: "g" and this letter goes there.
// - `load`: imports the module when somebody goes there first. `style`: a file of style/ that it needs.
// - `scope`: what the token has to allow for the screen to be in the navigation.
// - `words`: what else people call it, for Ctrl-K.
// - `count`: how much waits there, for the navigation (core/counts.js).

import { api } from "./api.js";

/**
 * @typedef {{id: string, path: string, patterns?: string[], title: string, icon: string, key: string,
 *   load: () => Promise<{default: any}>, style?: string,
 *   scope: "read"|"write"|"pairing"|"admin", words?: string,
 *   count?: {parts: string[], load: (signal: AbortSignal) => Promise<string>}}} Screen
 */

/** @type {Screen[]} */
export const SCREENS = [
  {
    id: "memory",
    path: "/",
    patterns: ["/memory/:id*"],
    title: "Memory",
    icon: "search",
    key: "m",
    load: () => import("../views/memory.js"),
    style: "memory.css",
    scope: "read",
    words: "search records facts notes home",
  },
  {
    id: "overview",
    path: "/overview",
    title: "Overview",
    icon: "chart",
    key: "o",
    load: () => import("../views/overview.js"),
    style: "overview.css",
    scope: "read",
    words: "sizes activity latency growth statistics",
  },
  {
    id: "map",
    path: "/map",
    title: "Map",
    icon: "map",
    key: "a",
    load: () => import("../views/map.js"),
    style: "map.css",
    scope: "read",
    words: "points clusters meaning projection lasso",
  },
  {
    id: "inbox",
    path: "/inbox",
    title: "Inbox",
    icon: "inbox",
    key: "i",
    load: () => import("../views/inbox.js"),
    style: "inbox.css",
    scope: "read",
    words: "captured candidates quarantine conflicts duplicates review",
    count: {
      parts: ["memory", "memory-inbox"],
      load: async (signal) => {
        if (sessionStorage.getItem("clawstate.decided")) await (await import("../views/inbox-decisions.js")).tellLeft();
        const { items, next } = await api.get("memory/inbox", { query: { limit: 99 }, signal });
        return next ? "99+" : String(items.length || "");
      },
    },
  },
  {
    id: "sessions",
    path: "/sessions",
    patterns: ["/sessions/:id*"],
    title: "Sessions",
    icon: "chat",
    key: "s",
    load: () => import("../views/sessions.js"),
    style: "sessions.css",
    scope: "read",
    words: "conversations chats transcripts messages history",
  },
  {
    id: "timeline",
    path: "/timeline",
    title: "Timeline",
    icon: "clock",
    key: "t",
    load: () => import("../views/timeline.js"),
    style: "timeline.css",
    scope: "read",
    words: "history changes days past restore undo time machine diff",
  },
  {
    id: "devices",
    path: "/devices",
    patterns: ["/devices/:id*"],
    title: "Devices",
    icon: "device",
    key: "d",
    load: () => import("../views/devices.js"),
    style: "devices.css",
    scope: "read",
    words: "pairing approve invite QR scopes revoke phone",
  },
  {
    id: "health",
    path: "/doctor",
    title: "Health",
    icon: "heart",
    key: "h",
    load: () => import("../views/health.js"),
    style: "health.css",
    scope: "read",
    words: "doctor findings fix space backup owner",
  },
  {
    id: "credentials",
    path: "/credentials",
    title: "Credentials",
    icon: "key",
    key: "c",
    load: () => import("../views/credentials.js"),
    style: "credentials.css",
    scope: "read",
    words: "keys tokens secrets providers oauth auth order cooldown",
  },
  {
    id: "config",
    path: "/config",
    title: "Config",
    icon: "sliders",
    key: "f",
    load: () => import("../views/config.js"),
    style: "config.css",
    scope: "admin",
    words: "settings options preferences history undo text editor",
  },
];
