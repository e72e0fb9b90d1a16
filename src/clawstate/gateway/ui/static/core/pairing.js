// Pairs this browser as a device: a key that never leaves it, and a code that its owner approves.
//
//   const { code, token, stop } = await pairThisBrowser({ write: false });
//   show(code); await useToken(await token);
//
// The Ed25519 key is made by the browser and cannot be read out, not even by this page; it lies in
// IndexedDB, so that the browser stays the same device.

import { api, ApiError, browserName } from "./api.js";

const DATABASE = "clawstate";
const STORE = "keys";

/** @param {{write?: boolean}} [options] */
export async function pairThisBrowser({ write = false } = {}) {
  const device = await thisDevice();
  const scopes = write ? ["operator.read", "operator.write"] : ["operator.read"];
  const body = { ...device.named, name: browserName(), scopes };
  const asked = await api.post("pairing/device_authorization", body, { open: true });
  const early = asked.serverTimeMs - Date.now();
  const stopped = new AbortController();
  return {
    code: asked.userCode,
    stop: () => stopped.abort(new DOMException("stopped", "AbortError")),
    token: collect(device, asked, early, stopped.signal),
  };
}

/**
 * Lets this browser in by an invitation. @param {string} secret
 * @returns {Promise<string>} its token
 */
export async function redeemInvitation(secret) {
  const device = await thisDevice();
  // A clock that is wrong by minutes makes no good signature; the gateway says what time it is.
  const answer = await fetch("/manifest.webmanifest", { method: "HEAD", cache: "no-store" }).catch(() => null);
  const told = Date.parse(answer?.headers.get("date") ?? "");
  const now = Number.isNaN(told) || Math.abs(told - Date.now()) < 30_000 ? Date.now() : told;
  const proof = await device.sign(secret, now);
  const made = await api.post("pairing/redeem", { secret, name: browserName(), ...proof }, { open: true });
  return made.token;
}

async function collect(device, asked, early, signal) {
  const until = Date.now() + asked.expiresIn * 1000;
  let interval = asked.interval * 1000;
  while (Date.now() < until) {
    await pause(interval, signal);
    try {
      const proof = await device.sign(asked.deviceCode, Date.now() + early);
      const made = await api.post("pairing/token", { deviceCode: asked.deviceCode, ...proof }, { open: true, signal });
      return made.token;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.type === "slow_down") interval += 2_000;
      else if (error.type === "access_denied") throw new ApiError(error.type, "The owner said no.", 400);
      // A gateway that is away for a moment has forgotten nothing.
      else if (!["authorization_pending", "offline", "unavailable", "locked"].includes(error.type)) throw error;
    }
  }
  throw new ApiError("expired_token", "Nobody approved the code in time; ask again.", 400);
}

const pause = (time, signal) => new Promise((resolve, reject) => {
  signal.throwIfAborted();
  const timer = setTimeout(resolve, time);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    reject(signal.reason);
  }, { once: true });
});

/** This browser as a device: its id and key, and what signs for it. */
async function thisDevice() {
  if (!globalThis.crypto?.subtle) {
    throw new ApiError("insecure", "A browser makes keys only on pages with TLS, or on localhost.", 0);
  }
  const pair = (await kept()) ?? (await made());
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const named = { deviceId: await sha256(raw), publicKey: base64url(raw) };
  const sign = async (secret, time) => {
    const signedAtMs = Math.round(time);
    const digest = await sha256(new TextEncoder().encode(secret));
    const text = `clawstate-pairing|v1|${named.deviceId}|${digest}|${signedAtMs}`;
    const signature = await crypto.subtle.sign("Ed25519", pair.privateKey, new TextEncoder().encode(text));
    return { ...named, signedAtMs, signature: base64url(new Uint8Array(signature)) };
  };
  return { named, sign };
}

async function made() {
  let pair;
  try {
    pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  } catch {
    throw new ApiError("unsupported", "This browser has no Ed25519 keys; use a newer one, or a link of 'clawstate gateway open'.", 0);
  }
  await store("readwrite", (keys) => keys.put(pair, "device")).catch(() => {}); // in a private window
  return pair;
}

const kept = () => store("readonly", (keys) => keys.get("device")).catch(() => undefined);

/** @returns {Promise<any>} */
const store = (mode, use) => new Promise((resolve, reject) => {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const request = use(opening.result.transaction(STORE, mode).objectStore(STORE));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  };
});

async function sha256(/** @type {Uint8Array} */ data) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return [...digest].map((each) => each.toString(16).padStart(2, "0")).join("");
}

const base64url = (/** @type {Uint8Array} */ data) =>
  btoa(String.fromCharCode(...data)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
