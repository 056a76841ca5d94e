// @ts-check
// Keeps the site on the device, so that later visits need no network.
/* global SITE */
importScripts("files.js");

const CACHE = `captions-${SITE.version}`;

addEventListener("install", (/** @type {any} */ event) => event.waitUntil(keepMissing()));
addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(dropOlder()));
addEventListener("fetch", (/** @type {any} */ event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});

async function keepMissing() {
  const cache = await caches.open(CACHE);
  for (const name of SITE.files) {
    // The page has kept the large files already.
    if (!(await cache.match(name))) await cache.add(new Request(name, { cache: "reload" }));
  }
  await /** @type {any} */ (globalThis).skipWaiting();
}

async function dropOlder() {
  for (const name of await caches.keys()) {
    if (name.startsWith("captions-") && name !== CACHE) await caches.delete(name);
  }
  await /** @type {any} */ (globalThis).clients.claim();
}

/** @param {Request} request */
async function answer(request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(request, { ignoreSearch: true })) ?? fetch(request);
}
