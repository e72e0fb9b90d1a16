// Keeps the files of the page for times without a network. It never keeps an answer of the API:
// what is remembered stays on the gateway.

const CACHE = "clawstate-{{version}}";
const FIRST = ["{{first}}"];
const REST = ["{{rest}}"];

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches.open(CACHE)
      .then((cache) => cache.addAll(["/", ...FIRST]))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches.keys()
      .then((names) => Promise.all(
        names.filter((each) => each.startsWith("clawstate-") && each !== CACHE)
          .map((each) => caches.delete(each)),
      ))
      .then(() => self.clients.claim()),
  );
});

// The other screens come later, so that they do not stand in the way of the first one.
self.addEventListener("message", (event) => {
  if (event.data === "rest") {
    event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(REST)));
  }
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname.startsWith("/ui/")) {
    event.respondWith(kept(request));
  } else if (request.mode === "navigate") {
    event.respondWith(
      fetch(request).catch(async () => (await caches.match("/")) ?? Response.error()),
    );
  }
});

async function kept(request) {
  const found = await caches.match(request);
  if (found) return found;
  const answer = await fetch(request);
  if (answer.ok && request.url.includes("/{{version}}/")) {
    const cache = await caches.open(CACHE);
    await cache.put(request, answer.clone());
  }
  return answer;
}
