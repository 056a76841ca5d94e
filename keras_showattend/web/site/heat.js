// @ts-check
// Attention over an image: the colours are those of the Python package, out of site.json.

/**
 * Draws a map, each weight over its own location, enlarged smoothly by the browser.
 * @param {HTMLCanvasElement} canvas
 * @param {number[]} map
 * @param {number} rows
 * @param {number} columns
 * @param {number[][]} colours red, green, blue and opacity, 0 to 255, from no attention to the most
 */
export function drawHeat(canvas, map, rows, columns, colours) {
  canvas.width = columns * 32;
  canvas.height = rows * 32;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const most = Math.max(...map, 1e-12);
  const pixels = context.createImageData(canvas.width, canvas.height);
  for (let y = 0, at = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++, at += 4) {
      const weight = between(map, rows, columns, (y + 0.5) / 32 - 0.5, (x + 0.5) / 32 - 0.5);
      pixels.data.set(colours[Math.round((weight / most) * (colours.length - 1))], at);
    }
  }
  context.putImageData(pixels, 0, 0);
}

/**
 * The map between its locations, bilinear.
 * @param {number[]} map
 * @param {number} rows
 * @param {number} columns
 * @param {number} row
 * @param {number} column
 */
function between(map, rows, columns, row, column) {
  const inside = (/** @type {number} */ n, /** @type {number} */ size) => Math.min(Math.max(n, 0), size - 1);
  const [y, x] = [inside(row, rows), inside(column, columns)];
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const [bottom, right] = [inside(top + 1, rows), inside(left + 1, columns)];
  const at = (/** @type {number} */ r, /** @type {number} */ c) => map[r * columns + c];
  const upper = at(top, left) * (1 - (x - left)) + at(top, right) * (x - left);
  const lower = at(bottom, left) * (1 - (x - left)) + at(bottom, right) * (x - left);
  return upper * (1 - (y - top)) + lower * (y - top);
}
