// Sorted bars as tables: contributions of features, shares of b.

const SHOWN = 15, SHOWN_NODES = 10, MOST = 500;
const open = {};  // which tables show more

/** A bar from the zero line, in a track that holds the smallest and the largest value. */
function bar(value, low, high) {
  const room = high - low || 1, zero = -low / room;
  const left = Math.min(zero, (value - low) / room), wide = Math.abs(value) / room;
  return el("div", {class: "track", "aria-hidden": "true"},
    el("div", {class: `bar ${value < 0 ? "down" : "up"}`,
      style: {left: `${100 * left}%`, width: `${100 * wide}%`}}),
    el("div", {class: "zero", style: {left: `${100 * zero}%`}}));
}

const text = (words) => (typeof words === "function" ? words() : words);

/** Items {name, note, value} as bars, largest size first; what is left is added up. */
function bars(key, items, heads, redraw, kind = "", few = SHOWN) {
  const noted = heads[1] !== "";
  // What brings nothing is named only where there is room for all.
  const sorted = items.filter((item) => item.value !== 0 || items.length <= few)
    .sort((p, q) => Math.abs(q.value) - Math.abs(p.value));
  if (!sorted.length) return [el("p", {}, "None.")];
  const count = open[key] ? MOST : few;
  // One entry left over takes no more room by its own name.
  const kept = sorted.length <= count + 1 ? sorted : sorted.slice(0, count);
  const left = sorted.slice(kept.length);
  const rest = left.reduce((sum, item) => sum + item.value, 0);
  const listed = left.length
    ? [...kept, {name: `${whole(left.length)} others`, note: "", value: rest, other: true}] : kept;
  const low = Math.min(0, ...kept.map((item) => item.value));
  const high = Math.max(0, ...kept.map((item) => item.value));
  const body = listed.map((item) => el("tr", item.other ? {class: "others"} : {},
    el("th", {scope: "row"}, text(item.name)),
    noted ? el("td", {class: "note"}, text(item.note)) : null,
    el("td", {class: "bars"}, item.other ? "" : bar(item.value, low, high)),
    el("td", {class: "number"}, signed(item.value, 4))));
  const [first, second, last] = heads;
  const table = el("table", {class: `sorted ${noted ? kind : "two"}`},
    el("thead", {}, el("tr", {}, el("th", {scope: "col"}, first),
      noted ? el("th", {scope: "col"}, second) : null, el("th", {scope: "col", class: "bars"}),
      el("th", {scope: "col", class: "number"}, last))),
    el("tbody", {}, ...body));
  const more = left.length || open[key] ? el("button", {type: "button", onclick: () => {
    open[key] = !open[key];
    redraw();
  }}, open[key] ? "Show fewer" : `Show ${whole(Math.min(MOST, sorted.length))}`) : null;
  return [table, ...(more ? [more] : [])];
}

/** Every feature of every part: pixels, entries of series and tables, tokens. */
function features(one) {
  const found = [];
  for (const part of PARTS) {
    const lead = PARTS.length > 1 ? `${part.tensor} ` : "";
    if (part.kind === "picture") pixels(part, one, lead, found);
    else if (part.kind === "tokens") {
      part.names.forEach((name, at) => found.push(
        {name: `${lead}${at}: ${name}`, note: "", value: tokenValue(part, one, at)}));
    } else {
      part.x.forEach((x, i) => found.push(
        {name: entryName(part, i), note: num(x, 4), value: valueAt(part, one, i)}));
    }
  }
  return found;
}

function pixels(part, one, lead, found) {
  const values = plane(part, one);
  values.forEach((value, pixel) => {
    if (value === 0) return;
    const row = Math.floor(pixel / part.width), column = pixel % part.width;
    // Only what is listed is written out: a photo has 50,000 pixels.
    found.push({value, name: () => `${lead}${row}, ${column}`,
      note: () => entriesAt(part, row, column).map((i) => num(part.x[i], 3)).join(", ")});
  });
}

function entryName(part, i) {
  if (part.names.length) return part.names[i];
  const axes = part.shape.length > 1 && part.shape[0] === 1 ? part.shape.slice(1) : part.shape;
  if (!axes.length) return part.tensor;
  const at = [];
  for (let k = axes.length - 1, rest = i; k >= 0; k--) {
    at.unshift(rest % axes[k]);
    rest = Math.floor(rest / axes[k]);
  }
  return `${part.lead}[${at.join(",")}]`;
}

function drawFeatures() {
  const one = chosen(), only = (kind) => PARTS.every((part) => part.kind === kind);
  const name = only("picture") ? "row, column" : only("tokens") ? "token" : "feature";
  const total = ofRows(one, (k) => DOC.classes[k].total);
  $("contributions-lead").textContent =
    `${DOC.what} adds ${signed(total)} to ${one.name}.`
    + (PARTS.some((part) => part.kind === "tokens") ? " A token is the sum of its embedding." : "")
    + (PARTS.some((part) => part.channels > 1 && part.kind === "picture") && state.channel < 0
      ? " A pixel is the sum of its channels." : "");
  $("features").replaceChildren(
    ...bars("features", features(one), [name, only("tokens") ? "" : "x", DOC.what], drawFeatures,
      PARTS.some((part) => part.channels > 1 && part.kind === "picture") ? "photo-table" : ""));
}

function drawLedger() {
  const one = chosen(), {nodes, kinds, shares} = DOC.ledger;
  const items = nodes.map((node, i) => (
    {name: node, note: kinds[i], value: ofRows(one, (k) => shares[k][i])}));
  const rest = ofRows(one, (k) => DOC.classes[k].rest);
  if (rest !== 0) items.push({name: "W x0", note: "baseline", value: rest});
  const same = new Set(items.map((item) => item.note)).size < 2;
  $("ledger-lead").textContent = `The biases of the nodes add ${signed(rowNumber(one, "b"))} to `
    + `${one.name}.${same && items.length ? ` All are of kind ${items[0].note}.` : ""}${rest ? " The baseline's W x0 comes to that." : ""}`
    + `${DOC.structural_zero ? ` ${DOC.structural_zero}.` : ""}`;
  $("shares").replaceChildren(...bars("ledger", items, ["node", same ? "" : "kind", "b"], drawLedger,
    "kinds", SHOWN_NODES),
    kindsOf(one));
}

/** b by kind, where there is more than one. */
function kindsOf(one) {
  const {kinds, shares, meaning} = DOC.ledger, names = Object.keys(meaning);
  if (names.length < 2) return "";
  const sum = (kind) => ofRows(one, (k) =>
    shares[k].reduce((total, value, i) => total + (kinds[i] === kind ? value : 0), 0));
  return el("details", {}, el("summary", {}, "By kind"),
    el("table", {}, el("tbody", {}, ...names.map((kind) => el("tr", {},
      el("th", {scope: "row"}, kind), el("td", {class: "number"}, signed(sum(kind))),
      el("td", {class: "quiet"}, meaning[kind]))))));
}
