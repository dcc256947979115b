// Depths of a transformer: what every position brings, read at every layer; b by layer.

const MOST_POSITIONS = 128, NUMBERED = 24;

const depthValue = (one, d, p) => {
  const {depths, positions, numbers} = DOC.depths;
  return ofRows(one, (k) => numbers[(k * depths.length + d) * positions.length + p]);
};

/** Positions to show, in order: all, or those that bring most anywhere. */
function shownPositions(one) {
  const {depths, positions} = DOC.depths;
  const all = positions.map((_, p) => p);
  if (all.length <= MOST_POSITIONS) return all;
  const size = all.map((p) => Math.max(...depths.map((_, d) => Math.abs(depthValue(one, d, p)))));
  return all.sort((p, q) => size[q] - size[p]).slice(0, MOST_POSITIONS).sort((p, q) => p - q);
}

function drawDepths() {
  const found = DOC.depths;
  $("depths").hidden = !found;
  if (!found) return;
  const one = chosen(), kept = shownPositions(one);
  const left = found.positions.length - kept.length;
  $("depths-lead").textContent = `What each position brings to ${one.name}, W_h h, read at x and `
    + "behind every block. Each line and its b_h add up to F(x): they are not to be added to each "
    + `other.${left ? ` The strongest ${kept.length} of ${whole(found.positions.length)} positions.` : ""}`;
  $("depth-map").replaceChildren(depthMap(one, kept), placeTable(one),
    el("p", {class: "quiet"}, `${found.notes.join("; ")}.`));
}

function depthMap(one, kept) {
  const {depths, positions} = DOC.depths;
  const lines = depths.map((_, d) => kept.map((p) => depthValue(one, d, p)));
  const limit = limitOf(lines.flat()), past = lines.flat().some((v) => Math.abs(v) > limit);
  const head = el("tr", {}, el("th", {scope: "col"}, "depth"),
    ...kept.map((p) => el("th", {scope: "col", class: "upright"},
      el("span", {}, positions[p] === "" ? "␣" : positions[p]))),
    el("th", {scope: "col", class: "number"}, "sum"), el("th", {scope: "col", class: "number"}, "b_h"));
  const body = depths.map((depth, d) => el("tr", {},
    el("th", {scope: "row", title: depth.tensor}, depth.label),
    ...lines[d].map((value, i) => depthCell(depth, value, positions[kept[i]], limit, kept.length)),
    el("td", {class: "number"}, signed(positions.reduce((sum, _, p) =>
      sum + depthValue(one, d, p), 0), 4)),
    el("td", {class: "number"}, signed(ofRows(one, (k) => DOC.depths.rest[k][d]), 4))));
  return el("div", {}, scroll("depths-title", el("table", {class: "depths"},
    el("thead", {}, head), el("tbody", {}, ...body))), legend(limit, past));
}

function depthCell(depth, value, position, limit, count) {
  const colour = ramp(value / limit);
  return el("td", {class: "cell", title: `${depth.label}, ${position}: ${signed(value)}`,
    style: {background: css(colour), color: dark(colour) ? "#fff" : "#111"}},
  count <= NUMBERED ? signed(value, 2) : "");
}

/** b by layer and kind, in the order of the model. */
function placeTable(one) {
  const {places, shares} = DOC.depths;
  const values = places.map((_, i) => ofRows(one, (k) => shares[k][i]));
  const low = Math.min(0, ...values), high = Math.max(0, ...values);
  return el("details", {}, el("summary", {}, "b by layer and kind"),
    el("table", {class: "sorted two"}, el("tbody", {}, ...places.map((place, i) => el("tr", {},
      el("th", {scope: "row"}, place.name),
      el("td", {class: "bars"}, bar(values[i], low, high)),
      el("td", {class: "number"}, signed(values[i], 4)))))));
}
