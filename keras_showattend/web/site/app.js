// @ts-check
// The page: images come in by every way a browser has, captions go out.
import { Captioner, describePlace, percent, textOf } from "./captions.js";
import { about } from "./download.js";
import { drawHeat } from "./heat.js";
import { ImageError, readImage } from "./images.js";
import { csvOf } from "./table.js";

/** @type {(id: string) => any} */
const byId = (id) => document.getElementById(id);
const site = await about;
const [rows, columns] = site.captioner.grid;
const captioner = new Captioner((share) => {
  byId("progress").value = share;
});

/** What the result shows: the file's name, its captions, the chosen one. */
let shown = { name: "", captions: /** @type {import("./captions.js").Caption[]} */ ([]), chosen: 0 };
/** Count the images and the folders asked for, so that a slow answer does not replace a newer one. */
let asked = 0;
let foldersAsked = 0;
/** @type {{path: string, caption: string, log_probability: number, confidence: number | null}[]} */
let table = [];
let isStopped = false;

// Starting

byId("about").textContent = `${site.name}${site.captioner.license ? `, ${site.captioner.license}` : ""}. ${site.size}, kept on this device after the first visit.`;
byId("scale").style.background = `linear-gradient(to right, ${site.colours.filter((/** @type {any} */ _, /** @type {number} */ n) => n % 9 === 0).map((/** @type {number[]} */ [r, g, b, a]) => `rgba(${r},${g},${b},${a / 255})`)})`;
byId("confidence-column").hidden = !site.captioner.calibration;
for (const { file, description } of site.examples) {
  const button = element("button", { type: "button", ariaLabel: `Example: ${description}` });
  button.append(element("img", { src: file, alt: "" }));
  button.onclick = async () => take([new File([await (await fetch(file)).blob()], file.split("/").pop())]);
  byId("examples").append(button);
}
say(`Loading the captioner (${site.size}, once) …`);
captioner.ready.then(
  () => {
    byId("progress").hidden = true;
    if (!asked) say("The captioner is ready.");
    // Only now, so that nothing is downloaded twice.
    navigator.serviceWorker?.register("service-worker.js").catch(() => {});
  },
  (error) => {
    byId("progress").hidden = true;
    say("");
    fail(`The captioner cannot be loaded. ${error.message}`);
  },
);

// Ways in

for (const id of ["files", "folder", "camera"]) {
  byId(id).onchange = () => {
    const input = byId(id);
    take([...input.files], id === "folder");
    // The same file can be chosen again.
    input.value = "";
  };
}
addEventListener("paste", (event) => {
  if (event.target instanceof HTMLTextAreaElement) return;
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) take(files);
  else fail("There is no image among what was pasted: copy an image, not its address.");
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  const files = [...(event.dataTransfer?.files ?? [])];
  if (files.length) take(files);
  else fail("There is no image among what was dropped: save the image, and drop its file.");
});

/**
 * @param {File[]} files
 * @param {boolean} [isFolder]
 */
async function take(files, isFolder = false) {
  if (isFolder || files.length > 1) {
    // Folders hold other files as well, of which nobody wants to read.
    const images = !isFolder ? files : files.filter(({ type, name }) => type.startsWith("image/") || /\.(heic|heif|tiff?)$/i.test(name));
    if (!images.length) fail("There is no image in this folder.");
    else await captionAll(images);
  } else if (files.length) await captionOne(files[0]);
}

// One image

/** @param {File} file */
async function captionOne(file) {
  const start = performance.now();
  const number = ++asked;
  fail("");
  byId("result").setAttribute("aria-busy", "true");
  try {
    say("Reading the image …");
    const bitmap = await readImage(file);
    say("Looking at the image …");
    const captions = await captioner.caption(bitmap);
    if (number !== asked) return;
    await show(file, captions);
    const milliseconds = Math.round(performance.now() - start);
    byId("time").textContent = `Captioned in ${milliseconds} ms on this device.`;
    byId("time").dataset.milliseconds = String(milliseconds);
    say(`Caption: ${textOf(captions[0])}.`);
  } catch (error) {
    if (number !== asked) return;
    byId("result").hidden = true;
    say("");
    fail(`${file.name || "The image"}: ${wordsOf(error)}`);
  } finally {
    byId("result").removeAttribute("aria-busy");
  }
}

/**
 * @param {File} file
 * @param {import("./captions.js").Caption[]} captions
 */
async function show(file, captions) {
  const image = byId("image");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  await image.decode().catch(() => {});
  shown = { name: file.name || "image", captions, chosen: 0 };
  byId("beams").replaceChildren(
    ...captions.map((caption, index) => {
      const label = element("label", { className: "beam" });
      const input = element("input", { type: "radio", name: "beam", checked: !index });
      input.onchange = () => choose(index);
      label.append(input, element("span", { textContent: textOf(caption) }));
      return label;
    }),
  );
  byId("others").hidden = captions.length < 2;
  choose(0);
  byId("result").hidden = false;
}

/** @param {number} index of one of the captions */
function choose(index) {
  shown.chosen = index;
  const caption = shown.captions[index];
  byId("caption").textContent = textOf(caption);
  byId("image").alt = textOf(caption);
  byId("confidence").hidden = caption.confidence === null;
  if (caption.confidence !== null) byId("confidence").textContent = `Confidence ${percent(caption.confidence)}`;
  byId("words").replaceChildren(...caption.words.map((word, position) => wordButton(caption, word, position)));
  byId("alt").value = textOf(caption);
  look(null);
  writeSnippet();
}

/**
 * @param {import("./captions.js").Caption} caption
 * @param {string} word
 * @param {number} position
 */
function wordButton(caption, word, position) {
  const map = caption.maps[position];
  const share = percent(caption.probabilities[position]);
  const place = describePlace(map, rows, columns);
  const button = element("button", { type: "button", className: "word", ariaPressed: "false" });
  button.setAttribute("aria-label", `${word}, ${share}, looked at ${place.startsWith("the") ? place : `the ${place}`}`);
  const bar = element("i", {});
  bar.style.width = `${Math.max(2, 100 * caption.probabilities[position])}%`;
  button.append(word, element("small", { textContent: share }), bar);
  button.onmouseenter = button.onfocus = () => look(map);
  button.onmouseleave = button.onblur = () => look(pressedMap());
  button.onclick = () => {
    const isPressed = button.ariaPressed === "true";
    for (const other of byId("words").children) other.ariaPressed = "false";
    button.ariaPressed = String(!isPressed);
    look(isPressed ? null : map);
  };
  return button;
}

function pressedMap() {
  const position = [...byId("words").children].findIndex((button) => button.ariaPressed === "true");
  return position < 0 ? null : shown.captions[shown.chosen].maps[position];
}

/** @param {number[] | null} map the attention to lay over the image, or none */
function look(map) {
  byId("stage").classList.toggle("looking", map !== null);
  if (map) drawHeat(byId("heat"), map, rows, columns, site.colours);
}

byId("alt").oninput = writeSnippet;
byId("copy").onclick = () => copy(byId("alt").value, "text");
byId("copy-html").onclick = () => copy(byId("snippet").textContent, "HTML");

function writeSnippet() {
  // In a document of its own, where it is not loaded.
  const image = document.implementation.createHTMLDocument().createElement("img");
  image.setAttribute("src", shown.name);
  image.setAttribute("alt", byId("alt").value);
  byId("snippet").textContent = image.outerHTML;
}

/**
 * @param {string} text
 * @param {string} what
 */
async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`The ${what} is copied.`);
  } catch {
    fail("The browser does not let the page copy: select the text, and copy it yourself.");
  }
}

// A folder

/** @param {File[]} files */
async function captionAll(files) {
  const number = ++foldersAsked;
  asked++;
  table = [];
  isStopped = false;
  fail("");
  byId("result").hidden = true;
  byId("rows").replaceChildren();
  byId("batch").hidden = false;
  byId("stop").hidden = false;
  byId("batch-progress").max = files.length;
  say("");
  let failed = 0;
  for (const [index, file] of files.entries()) {
    byId("batch-progress").value = index;
    // A screen reader hears of each tenth.
    const tenth = Math.max(1, Math.floor(files.length / 10));
    if (index % tenth === 0) byId("batch-status").textContent = `Captioning ${files.length} images, ${index} done …`;
    /** @type {import("./captions.js").Caption | null} */
    let best = null;
    let reason = "";
    try {
      [best] = await captioner.caption(await readImage(file));
    } catch (error) {
      reason = wordsOf(error);
    }
    if (number !== foldersAsked) return;
    addRow(file, best, reason);
    if (!best) failed++;
    if (isStopped) break;
  }
  byId("batch-progress").value = table.length + failed;
  byId("stop").hidden = true;
  const bad = failed ? ` ${failed} could not be read.` : "";
  byId("batch-status").textContent = `${isStopped ? "Stopped: " : ""}${table.length} of ${files.length} images captioned.${bad}`;
}

/**
 * @param {File} file
 * @param {import("./captions.js").Caption | null} best
 * @param {string} reason why there is no caption
 */
function addRow(file, best, reason) {
  const path = file.webkitRelativePath || file.name;
  const name = element("button", { type: "button", textContent: path });
  name.onclick = () => {
    captionOne(file).then(() => byId("caption").scrollIntoView({ block: "nearest" }));
  };
  const cells = [
    element("td", {}),
    element("td", { textContent: best ? textOf(best) : reason, className: best ? "" : "bad" }),
    element("td", { textContent: best && best.confidence !== null ? percent(best.confidence) : "" }),
  ];
  cells[0].append(name);
  cells[2].hidden = !site.captioner.calibration;
  const row = element("tr", {});
  row.append(...cells);
  byId("rows").append(row);
  if (best) table.push({ path, caption: textOf(best), log_probability: best.logProbability, confidence: best.confidence });
}

byId("stop").onclick = () => {
  isStopped = true;
};
byId("download").onclick = () => {
  const link = element("a", { download: "captions.csv" });
  link.href = URL.createObjectURL(new Blob([csvOf(table)], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};

// Small things

/** @param {string} message */
function say(message) {
  byId("status").textContent = message;
}

/** @param {string} message shown as an error; empty for none */
function fail(message) {
  byId("error").hidden = !message;
  byId("error").textContent = message;
}

/** @param {unknown} error */
function wordsOf(error) {
  if (error instanceof ImageError) return error.message;
  return `The image cannot be captioned (${error instanceof Error ? error.message : error}).`;
}

/**
 * @param {string} tag
 * @param {object} properties
 * @returns {any}
 */
function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
