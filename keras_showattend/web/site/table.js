// @ts-check
// Captions as CSV, with the columns of `keras-showattend caption --csv` that a page knows.

const COLUMNS = ["path", "caption", "log_probability", "confidence"];

/**
 * @param {{path: string, caption: string, log_probability: number, confidence: number | null}[]} rows
 */
export function csvOf(rows) {
  const lines = [COLUMNS.map(quoted), ...rows.map((row) => COLUMNS.map((name) => cell(row[/** @type {keyof typeof row} */ (name)])))];
  return lines.map((line) => `${line.join(",")}\n`).join("");
}

/** @param {string | number | null} value */
function cell(value) {
  if (typeof value !== "string") return value === null ? '""' : String(value);
  // A spreadsheet would run it as a formula.
  return quoted(/^[=+\-@\t\r]/.test(value) ? `'${value}` : value);
}

/** @param {string} text */
const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
