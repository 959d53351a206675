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
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  const fromNetwork = fetch(request).then((answer) => {
    // The runtime for a GPU is large: kept once it was asked for, while it is compiled.
    if (answer.ok && url.pathname.includes("/ort/")) {
      const copy = answer.clone();
      event.waitUntil(caches.open(kept).then((cache) => cache.put(request.url, copy)));
    }
    return answer;
  });
  event.respondWith(
    fromNetwork.catch(async () => (await caches.match(request.url, { ignoreSearch: true })) ?? Response.error()),
  );
});
