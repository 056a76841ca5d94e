// @ts-check
// The page's side of the worker, and what a caption looks like in words.
import { about } from "./download.js";

/**
 * @typedef {object} Caption
 * @property {string[]} words
 * @property {number[]} probabilities of the words, 0 to 1
 * @property {number[][]} maps attention of each word over the grid, row by row
 * @property {number} logProbability nats, of the whole caption
 * @property {number | null} confidence 0 to 1, or null where the captioner is not calibrated
 */

/** Runs the captioner in a worker. */
export class Captioner {
  /**
   * @param {(share: number) => void} onProgress called with 0 to 1 while the files come
   */
  constructor(onProgress) {
    this.worker = new Worker("worker.js", { type: "module" });
    /** @type {Map<number, {resolve: (captions: Caption[]) => void, reject: (error: Error) => void}>} */
    this.waiting = new Map();
    this.count = 0;
    let bytes = 0;
    /** @type {Promise<void>} */
    this.ready = new Promise((resolve, reject) => {
      const fail = (/** @type {string} */ message) => {
        reject(new Error(message));
        for (const { reject } of this.waiting.values()) reject(new Error(message));
      };
      this.worker.onerror = (event) => fail(event.message || "The captioner cannot be started.");
      this.worker.onmessage = async ({ data }) => {
        if (data.ready) resolve();
        else if (data.failed) fail(data.failed);
        else if (data.bytes) {
          bytes += data.bytes;
          onProgress(bytes / (await about).download);
        } else {
          const { resolve, reject } = this.waiting.get(data.id) ?? {};
          this.waiting.delete(data.id);
          if (data.error) reject?.(new Error(data.error));
          else resolve?.(data.captions);
        }
      };
    });
    this.ready.catch(() => {});
  }

  /**
   * @param {ImageBitmap} bitmap is handed over
   * @returns {Promise<Caption[]>} best first
   */
  caption(bitmap) {
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, bitmap }, [bitmap]);
    });
  }
}

/** @param {Caption} caption */
export function textOf({ words }) {
  const text = words.join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {number} share */
export const percent = (share) => `${Math.round(share * 100)} %`;

/**
 * The attention in words, for readers who do not see the map: as `describe_place` in Python.
 * @param {number[]} map
 * @param {number} rows
 * @param {number} columns
 */
export function describePlace(map, rows, columns) {
  const sums = new Array(9).fill(0);
  const sizes = new Array(9).fill(0);
  map.forEach((weight, cell) => {
    const down = Math.floor(((Math.floor(cell / columns) + 0.5) / rows) * 3);
    const across = Math.floor((((cell % columns) + 0.5) / columns) * 3);
    sums[down * 3 + across] += weight;
    sizes[down * 3 + across] += 1;
  });
  const density = sums.map((sum, ninth) => sum / Math.max(1, sizes[ninth]));
  const most = density.indexOf(Math.max(...density));
  const total = map.reduce((sum, weight) => sum + weight, 0);
  if (density[most] < (1.5 * total) / map.length) return "the whole image";
  const place = [["upper", "", "lower"][Math.floor(most / 3)], ["left", "", "right"][most % 3]];
  return place.join(" ").trim() || "the middle";
}
