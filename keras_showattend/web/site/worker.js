// @ts-check
// The captioner, away from the page's own thread: pixels in, captions out.
import * as ort from "./runtime/ort.wasm.min.mjs";
import { about, download, gunzip } from "./download.js";

const RUNTIME = "runtime/ort-wasm-simd-threaded.wasm.gz.bin";
const MODEL = "captioner.onnx";

const session = load();
session.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ failed: String(error?.message ?? error) }),
);

async function load() {
  const onBytes = (/** @type {number} */ bytes) => postMessage({ bytes });
  // The model arrives while the runtime starts.
  const model = download(MODEL, onBytes);
  model.catch(() => {});
  const wasm = await gunzip(await download(RUNTIME, onBytes));
  // More threads need headers that few static hosts send.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm.buffer;
  ort.env.wasm.wasmPaths = { mjs: new URL("./runtime/ort-wasm-simd-threaded.mjs", import.meta.url).href };
  return ort.InferenceSession.create(await model, { executionProviders: ["wasm"] });
}

addEventListener("message", async ({ data: { id, bitmap } }) => {
  try {
    postMessage({ id, captions: await caption(bitmap) });
  } catch (error) {
    postMessage({ id, error: String(error instanceof Error ? error.message : error) });
  } finally {
    bitmap.close();
  }
});

/**
 * @param {ImageBitmap} bitmap
 * @returns {Promise<import("./captions.js").Caption[]>} best first
 */
async function caption(bitmap) {
  const { width, height } = bitmap;
  const pixels = new Uint8Array(width * height * 3);
  const rgba = rgbaOf(bitmap);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    pixels[to++] = rgba[from];
    pixels[to++] = rgba[from + 1];
    pixels[to++] = rgba[from + 2];
  }
  const images = new ort.Tensor("uint8", pixels, [1, height, width, 3]);
  const found = await (await session).run({ images });
  const { vocabulary, special_tokens: special, calibration, grid } = (await about).captioner;
  const [, beams, length] = found.token_ids.dims;
  const cells = grid[0] * grid[1];
  const captions = [];
  for (let beam = 0; beam < beams; beam++) {
    const ids = Array.from(found.token_ids.data.slice(beam * length, (beam + 1) * length));
    const count = ids.findIndex((id) => id === special.end || id === special.pad);
    const tokens = count < 0 ? ids : ids.slice(0, count);
    const logProbability = found.log_probabilities.data[beam];
    // Beams that no caption was left for.
    if (logProbability < -1e8) continue;
    const steps = tokens.length + (ids[tokens.length] === special.end ? 1 : 0);
    const start = beam * length;
    captions.push({
      words: tokens.map((id) => vocabulary[id]),
      probabilities: [...found.word_probabilities.data.slice(start, start + tokens.length)],
      maps: tokens.map((_, step) =>
        Array.from(found.attention_maps.data.slice((start + step) * cells, (start + step + 1) * cells)),
      ),
      logProbability,
      confidence: calibration && sigmoid((calibration.slope * logProbability) / Math.max(1, steps) + calibration.intercept),
    });
  }
  return captions;
}

const sigmoid = (/** @type {number} */ x) => 1 / (1 + Math.exp(-x));

/** @param {ImageBitmap} bitmap */
function rgbaOf(bitmap) {
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("The browser has no memory left for this image.");
  // Transparency lies on white, as in Python.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height).data;
}
