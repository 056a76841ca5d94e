// @ts-check
// Files of this site, out of the cache once they have been downloaded.

/** @type {Promise<any>} */
const site = fetch("site.json").then((answer) => answer.json());

/** Name of the cache of this version of the site. */
export const cacheName = site.then((about) => `captions-${about.version}`);

/** What the captioner says of itself, and the sizes of the files. */
export const about = site;

/**
 * Downloads a file, or takes it from the cache.
 * @param {string} name
 * @param {(bytes: number) => void} [onBytes] called with the size of each piece
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function download(name, onBytes = () => {}) {
  // A page that is not served over https, and is not localhost, has no cache.
  const cache = globalThis.caches ? await caches.open(await cacheName).catch(() => null) : null;
  const kept = await cache?.match(name);
  const answer = kept ?? (await fetch(name));
  if (!answer.ok || !answer.body) throw new Error(`“${name}” cannot be downloaded (${answer.status}).`);
  const size = (await site).files[name];
  const bytes = new Uint8Array(size);
  let filled = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    if (filled + value.length > size) throw new Error(`“${name}” is not the file that was expected.`);
    bytes.set(value, filled);
    filled += value.length;
    onBytes(value.length);
  }
  if (filled !== size) throw new Error(`“${name}” was cut off: load the page again.`);
  if (cache && !kept) {
    // A full disk costs the next visit a download, and nothing else.
    await cache.put(name, new Response(bytes, { headers: answer.headers })).catch(() => {});
  }
  return bytes;
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function gunzip(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
