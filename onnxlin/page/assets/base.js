"use strict";
// What all parts of the page share: the data, elements, numbers and colours.

const DOC = JSON.parse(document.getElementById("data").textContent);
const ARRAYS = {
  float32: Float32Array, float64: Float64Array, uint8: Uint8Array, int64: BigInt64Array,
  int32: Int32Array, int16: Int16Array, int8: Int8Array, uint16: Uint16Array, bool: Uint8Array,
};
const PERCENTILE = 99.5;
const $ = (id) => document.getElementById(id);

/** Read an array that onnxlin.page.pack wrote. */
async function unpack(packed) {
  const kept = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([kept]).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  const kind = ARRAYS[packed.dtype];
  if (!packed.planes) return new kind(raw.buffer);
  const size = kind.BYTES_PER_ELEMENT, count = raw.length / size;
  const together = new Uint8Array(raw.length);
  for (let k = 0; k < size; k++) {
    for (let i = 0; i < count; i++) together[size * i + k] = raw[k * count + i];
  }
  return new kind(together.buffer);
}

/** Make an element; text never becomes markup. */
function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  set(made, properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function svg(name, properties = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  set(made, properties);
  made.append(...children);
  return made;
}

function set(element, properties) {
  for (const [key, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(element.style, value);
    else element.setAttribute(key, value === true ? "" : value);
  }
}

/** A number for people: five digits, a true minus sign. */
function num(value, digits = 5) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const short = Number(value.toPrecision(digits));
  const size = Math.abs(short);
  const text = size !== 0 && (size < 1e-4 || size >= 1e9) ? short.toExponential() : String(short);
  return text.replaceAll("-", "−");
}

const signed = (value, digits = 5) => (value > 0 ? "+" : "") + num(value, digits);
const share = (value) => (value === null ? "–"
  : value > 0 && value < 1e-5 ? "< 0.001 %" : `${num(100 * value, 3)} %`);
const whole = (value) => value.toLocaleString("en");
const bare = (value) => (value === null ? "–" : value.toExponential(1).replaceAll("-", "−"));

/** Percentile of the sizes other than 0, so that a few huge values do not bleach all others. */
function limitOf(values) {
  const sizes = Float64Array.from(values, Math.abs).filter((size) => size > 0).sort();
  if (!sizes.length) return 1;
  const at = (sizes.length - 1) * PERCENTILE / 100, low = Math.floor(at);
  const high = Math.min(low + 1, sizes.length - 1);
  return sizes[low] + (at - low) * (sizes[high] - sizes[low]);
}

/** Colour of a value between -1 and 1, blue over white to red: [red, green, blue]. */
function ramp(ratio, into = [0, 0, 0]) {
  const last = DOC.colours.length - 1;
  const at = (Math.max(-1, Math.min(1, ratio)) + 1) / 2 * last;
  const low = Math.min(Math.floor(at), last - 1), part = at - low;
  const from = DOC.colours[low], to = DOC.colours[low + 1];
  for (let i = 0; i < 3; i++) into[i] = from[i] + part * (to[i] - from[i]);
  return into;
}

const css = ([red, green, blue]) =>
  `rgb(${Math.round(red)},${Math.round(green)},${Math.round(blue)})`;
const dark = ([red, green, blue]) => 0.299 * red + 0.587 * green + 0.114 * blue < 140;

/** What the colours mean, and where they end. */
function legend(limit, past) {
  return ramps(limit, past, "blue lowers the output, red raises it");
}

function ramps(limit, past, words) {
  const stops = DOC.colours.map(css).join(", ");
  return el("div", {class: "legend"},
    el("span", {}, `${past ? "≤ " : ""}−${num(limit, 3)}`),
    el("span", {class: "ramp", style: {background: `linear-gradient(to right, ${stops})`},
      role: "img", "aria-label": "colours from blue over white to red"}),
    el("span", {}, `${past ? "≥ " : ""}+${num(limit, 3)}`),
    el("span", {class: "quiet"}, words
      + (past ? `; colours end at the ${PERCENTILE}th percentile of sizes` : "")));
}

/** A part of a readout, with a key by which it is found. */
function said(key, label, value) {
  return el("span", {class: "said"}, `${label} `, el("b", {"data-key": key}, value));
}
