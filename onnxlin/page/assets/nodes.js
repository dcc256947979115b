// Every node: status, live share and how near its units are to a kink.

const TALL = 26, BIN = 6;

function drawNodes() {
  const {edges, rows} = DOC.nodes;
  const first = edges.length ? num(edges[0], 2) : "", last = edges.length ? num(edges.at(-1), 2) : "";
  $("nodes-lead").textContent = "Live: units that reach a row of the map (fainter: on, and cut off later). Margins: distance of the "
    + "units from their nearest kink, in units of the node's input"
    + (edges.length ? `, from ${first} on the left to ${last} on the right, two bins a decade; ties `
      + "(distance 0) in red." : ".");
  const heads = ["node", "operator", "status", "output", "live", "margins", "least", "median", "ties"];
  $("layers").replaceChildren(scroll("nodes-title", el("table", {class: "nodes"},
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", {scope: "col"}, head)))),
    el("tbody", {}, ...rows.map((row) => nodeLine(row, edges))))));
}

function nodeLine(row, edges) {
  const cells = [row.op_type, row.status, row.shape.join(" × ") || "scalar"];
  const line = el("tr", {}, el("th", {scope: "row"}, row.name),
    ...cells.map((cell) => el("td", {}, cell)));
  if (!row.margins) {
    line.append(el("td", {}), el("td", {}), el("td", {}), el("td", {}), el("td", {}));
    return line;
  }
  const {least, median, ties} = row.margins;
  line.append(live(row), el("td", {}, histogram(row, edges)),
    el("td", {class: "number"}, num(least, 3)), el("td", {class: "number"}, num(median, 3)),
    el("td", {class: ties ? "number fail-text" : "number"}, whole(ties)));
  return line;
}

/** Live of all units; the fainter part is on, and cut off later. */
function live(row) {
  const part = (count) => `${row.units ? 100 * count / row.units : 0}%`;
  return el("td", {class: "live"},
    el("div", {class: "track", "aria-hidden": "true"},
      el("div", {class: "on", style: {width: part(row.on)}}),
      el("div", {class: "alive", style: {width: part(row.live)}})),
    el("span", {title: `${whole(row.live)} of ${whole(row.units)} live, ${whole(row.on)} on`},
      share(row.units ? row.live / row.units : 0)));
}

/** Counts by distance, with the ties apart on the left. */
function histogram(row, edges) {
  const {counts, ties, never, least, median} = row.margins;
  const most = Math.max(ties, 1, ...counts), wide = (counts.length + 2) * BIN;
  // Square roots keep small counts in sight beside large ones.
  const tall = (count) => count ? Math.max(1.5, Math.sqrt(count / most) * TALL) : 0;
  const block = (count, at, kind) => svg("rect", {x: at * BIN, width: BIN - 1,
    y: TALL - tall(count), height: tall(count), class: kind});
  const text = `margins: ${whole(ties)} ties, least ${num(least, 3)}, median ${num(median, 3)}`
    + (never ? `, ${whole(never)} never` : "");
  return svg("svg", {viewBox: `0 0 ${wide} ${TALL + 1}`, width: wide, height: TALL + 1, role: "img",
    class: "histogram", "aria-label": text},
  svg("line", {x1: 0, x2: wide, y1: TALL + 0.5, y2: TALL + 0.5}),
  ...(ties ? [block(ties, 0, "tie")] : []),
  ...counts.map((count, i) => block(count, i + 2, "bin")));
}
