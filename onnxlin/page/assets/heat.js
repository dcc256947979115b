// Chosen outputs: what every feature brings to A, to B and to the difference.

const state = {a: 0, b: -1, channel: -1, blur: 0, at: -1};
const PARTS = [];  // DOC.parts with x, pixels and the values of every class unpacked

/** Unpack all arrays of the document. */
async function load() {
  const values = await Promise.all(DOC.classes.map((one) => unpack(one.values)));
  for (const part of DOC.parts) {
    const found = {...part, x: await unpack(part.x), values: []};
    if (part.pixels) {
      found.seen = await unpack(part.pixels);
      found.depth = part.pixels.shape[2];
    }
    for (const all of values) found.values.push(all.subarray(part.start, part.stop));
    PARTS.push(found);
  }
  await loadHidden();
  if (DOC.depths) DOC.depths.numbers = await unpack(DOC.depths.values);
}

const rowOf = (position) => DOC.rows.find((row) => row.position === position);
const labelOf = (row) => row.output === null || String(row.output) === row.label
  ? row.label : `${row.output} ${row.label}`;
const className = (k) => labelOf(rowOf(DOC.places[k]));

/** The rows that are shown: [{name, a, b}], the difference last; b is -1 where there is none. */
function panels() {
  const first = {name: className(state.a), a: state.a, b: -1};
  if (state.b < 0) return [first];
  const other = {name: className(state.b), a: state.b, b: -1};
  return [first, other, {name: `${first.name} against ${other.name}`, a: state.a, b: state.b}];
}

const chosen = () => panels().at(-1);
const valueAt = (part, one, i) =>
  part.values[one.a][i] - (one.b < 0 ? 0 : part.values[one.b][i]);

/** A number of the rows chosen, or its difference. */
const ofRows = (one, get) => get(one.a) - (one.b < 0 ? 0 : get(one.b));
const rowNumber = (one, key) => ofRows(one, (k) => rowOf(DOC.places[k])[key]);

/** What is hovered over or gone to by keys, in one part. */
function readout(part) {
  return el("output", {class: "readout", id: `readout-${part.start}`, "aria-live": "polite"},
    "Point at a place, or go there with the arrow keys.");
}

/** x and contributions of one place: sums over the entries. */
function tell(box, part, place, entries) {
  const x = entries.map((i) => num(part.x[i]));
  const said_ = [el("span", {class: "said"}, el("b", {"data-key": "place"}, place))];
  if (x.length <= 4) said_.push(said("x", "x", x.join(", ")));
  panels().forEach((one, at) => {
    const each = entries.map((i) => valueAt(part, one, i));
    const total = each.reduce((sum, value) => sum + value, 0);
    said_.push(said(`value-${at}`, `${DOC.what} of ${one.name}`, signed(total)));
    if (each.length > 1 && each.length <= 4) {
      said_.push(el("span", {class: "quiet"}, `(${each.map((v) => signed(v, 3)).join(", ")})`));
    }
  });
  box.replaceChildren(...said_);
}

/** Arrow keys, Home and End move a cursor (down, across) that stays within its limits. */
function moves(event, at, limits) {
  const steps = {
    ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
    PageUp: [-10, 0], PageDown: [10, 0],
  };
  const wide = event.shiftKey ? 10 : 1;
  let [down, across] = at;
  if (event.key === "Home") across = 0;
  else if (event.key === "End") across = limits[1] - 1;
  else if (event.key in steps) {
    down += wide * steps[event.key][0];
    across += wide * steps[event.key][1];
  } else return null;
  event.preventDefault();
  const inside = (value, limit) => Math.max(0, Math.min(limit - 1, value));
  return [inside(down, limits[0]), inside(across, limits[1])];
}
