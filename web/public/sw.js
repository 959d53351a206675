// Keeps what the page has loaded, so that it works without a connection: the network first, what is kept otherwise.
const kept = "filterbasis-page";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("message", (event) => {
  const all = caches.open(kept).then((cache) => Promise.allSettled(event.data.map((url) => cache.add(url))));
  event.waitUntil(all.then(() => event.ports[0].postMessage("kept")));
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== self.location.origin) return;
  event.respondWith(
    fetch(request).catch(async () => (await caches.match(request.url, { ignoreSearch: true })) ?? Response.error()),
  );
});
