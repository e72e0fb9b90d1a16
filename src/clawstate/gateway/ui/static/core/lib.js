// What screens and parts build upon: `html` templates (htm on Preact), hooks and signals.
// Import from here, never from vendor/: then one place knows which libraries there are.
//
//   import { html, useState, signal } from "../core/lib.js";
//   const Greeting = ({ name }) => html`<p class="note">Hello ${name}</p>`;
//
// Text in a template is always text: there is no way here to put HTML into the page.

import htm from "../vendor/htm.js";
import { createContext, Fragment, h, render } from "../vendor/preact.js";
import {
  useCallback, useContext, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef,
  useState,
} from "../vendor/hooks.js";
import {
  batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect,
} from "../vendor/signals.js";

/** Makes elements of a template: html`<p>${text}</p>`. */
export const html = htm.bind(h);

export {
  batch, computed, createContext, effect, Fragment, h, render, signal, untracked, useCallback,
  useComputed, useContext, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef,
  useSignal, useSignalEffect, useState,
};

/**
 * Joins names of classes, leaving out what is false.
 * @param {...(string|false|null|undefined)} names
 * @returns {string}
 */
export const classes = (...names) => names.filter(Boolean).join(" ");

/** A policy for the two addresses of scripts that a browser wants to see approved. */
export const scriptUrl = (() => {
  const policy = globalThis.trustedTypes?.createPolicy("clawstate", {
    createScriptURL: (text) => {
      if (!text.startsWith("/") || text.startsWith("//")) throw new TypeError("not of this page");
      return text;
    },
  });
  return (/** @type {string} */ text) => policy?.createScriptURL(text) ?? text;
})();
