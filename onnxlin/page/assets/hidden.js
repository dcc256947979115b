// Maps from hidden tensors: coarse pictures over the input, each with its own b_h and residual.

/** The map that is chosen in place of the pixels, if one is. */
const hiddenMap = () => DOC.hidden?.maps[state.at] ?? null;

const hiddenName = (map) => `${map.tensor} (${map.grid[0]} x ${map.grid[1]})`;

/** The place of a grid that lies over a pixel, by nearest. */
const placeOver = (part, map, row, column) => [
  Math.floor(row * map.grid[0] / part.height), Math.floor(column * map.grid[1] / part.width),
];

/** What a place brings to what is shown in one panel. */
function hiddenValue(map, one, [down, across]) {
  const [height, width] = map.grid;
  return ofRows(one, (k) => map.numbers[(k * height + down) * width + across]);
}

/** W_h h of the place that lies over every pixel. */
function hiddenPlane(part, map, one) {
  const found = new Float64Array(part.height * part.width);
  for (let row = 0; row < part.height; row++) {
    for (let column = 0; column < part.width; column++) {
      found[row * part.width + column] = hiddenValue(map, one, placeOver(part, map, row, column));
    }
  }
  return found;
}

/** W_h h, b_h and how far their sum is off, which of a difference are at most those of both. */
function hiddenCaption(map, one) {
  const [height, width] = map.grid, each = height * width;
  const total = (k) => map.numbers.subarray(k * each, (k + 1) * each).reduce((s, v) => s + v, 0);
  const both = (numbers) => numbers[one.a] + (one.b < 0 ? 0 : numbers[one.b]);
  const verdicts = [map.verdicts[one.a], ...(one.b < 0 ? [] : [map.verdicts[one.b]])];
  return `${one.name}: W_h h ${signed(ofRows(one, total), 4)}, b_h `
    + `${signed(ofRows(one, (k) => map.rest[k]), 4)}; off by ${bare(both(map.error))}, at most `
    + `${bare(both(map.error_bound))}: ${[...new Set(verdicts)].join(", ")}`;
}

/** Lines between the places, where these are wide enough to have some. */
function gridLines(part, map) {
  const {width, height} = part, [down, across] = map.grid, lines = [];
  const add = (count, size, points) => {
    for (let i = 1; i < count && size >= 2 * count; i++) lines.push(points(Math.ceil(i * size / count)));
  };
  add(down, height, (y) => `M0 ${y}H${width}`);
  add(across, width, (x) => `M${x} 0V${height}`);
  return svg("svg", {class: "grid", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true",
    preserveAspectRatio: "none"}, svg("path", {d: lines.join("")}));
}

/** What is pointed at: the place of the grid, and what it brings. */
function tellHidden(box, part, map, row, column) {
  const place = placeOver(part, map, row, column);
  const [height, width] = map.grid;
  box.replaceChildren(
    el("span", {class: "said"}, el("b", {"data-key": "place"},
      `row ${row}, column ${column}: place ${place.join(", ")} of ${height} x ${width}`)),
    ...panels().map((one, at) =>
      said(`value-${at}`, `W_h h of ${one.name}`, signed(hiddenValue(map, one, place)))));
}

async function loadHidden() {
  for (const map of DOC.hidden?.maps ?? []) map.numbers = await unpack(map.values);
}

/** Choose between the pixels and the hidden tensors. */
function hiddenControls() {
  if (!DOC.hidden) return;
  state.at = DOC.hidden.open;
  $("maps").hidden = false;
  $("at").replaceChildren(option(-1, "pixels"),
    ...DOC.hidden.maps.map((map, i) => option(i, hiddenName(map))));
  $("at").value = state.at;
  $("at").addEventListener("change", () => {
    state.at = Number($("at").value);
    drawViews();
  });
}
