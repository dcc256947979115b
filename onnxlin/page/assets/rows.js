// Rows: F(x) as W x and b, residuals, and tables.

const LISTED = 20;

/** F(x) of every row as W x and b beside each other. */
function drawRows() {
  const kept = [...DOC.rows].sort((p, q) => q.F - p.F)
    .filter((row, i) => i < LISTED || DOC.places.includes(row.position));
  const left = DOC.map.rows - kept.length;
  $("rows-lead").textContent = "F(x) = W x + b, output by output."
    + (left ? ` ${whole(kept.length)} of ${whole(DOC.map.rows)} rows.` : "")
    + (DOC.places.length ? " Choose an output to redraw the page for it." : "");
  const all = kept.flatMap((row) => [row.Wx, row.b]);
  const low = Math.min(0, ...all), high = Math.max(0, ...all);
  const chance = kept.some((row) => row.probability !== null);
  const heads = ["output", "F(x)", ...(chance ? ["probability"] : []), "W x above b", "W x", "b"];
  $("outputs").replaceChildren(scroll("rows-title", el("table", {class: "rows"},
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", {scope: "col",
      class: head === "output" ? "" : head === "W x above b" ? "bars" : "number"}, head)))),
    el("tbody", {}, ...kept.map((row) => rowLine(row, low, high, chance))))));
  drawResiduals(kept);
}

/** A table that scrolls by itself where it is wider than the page. */
function scroll(title, ...children) {
  return el("div", {class: "scroll", tabindex: 0, role: "region", "aria-labelledby": title},
    ...children);
}

/** Residual of every row against what rounding allows. */
function drawResiduals(kept) {
  $("residual-lead").textContent = "|F(x) − (W x + b)| against onnxruntime's F(x), relative to the "
    + "sizes that add up to it; the bound is what rounding alone can make of it, derived, no tuned "
    + "constant. "
    + "Off by, at most: the same in units of F.";
  const heads = ["output", "residual", "bound", "off by", "at most", "verdict"];
  const line = (row) => el("tr", {}, el("th", {scope: "row"}, labelOf(row)),
    el("td", {class: "number"}, bare(row.residual)), el("td", {class: "number"}, bare(row.bound)),
    el("td", {class: "number"}, bare(row.error)), el("td", {class: "number"}, bare(row.error_bound)),
    el("td", {class: row.pass ? "pass-text" : "fail-text"}, row.verdict));
  $("residuals").replaceChildren(scroll("residual-title", el("table", {},
    el("thead", {}, el("tr", {}, ...heads.map((head, i) =>
      el("th", {scope: "col", class: i > 0 && i < 5 ? "number" : ""}, head)))),
    el("tbody", {}, ...kept.map(line)))));
}

function rowLine(row, low, high, chance) {
  const k = DOC.places.indexOf(row.position);
  const name = k < 0 ? labelOf(row) : el("button", {type: "button", class: "link",
    "aria-pressed": String(k === state.a), onclick: () => choose(k, state.b === k ? -1 : state.b)},
  labelOf(row));
  const cells = [num(row.F), ...(chance ? [share(row.probability)] : [])];
  return el("tr", {class: k >= 0 && k === state.a ? "here" : ""},
    el("th", {scope: "row"}, name),
    ...cells.map((cell) => el("td", {class: "number"}, cell)),
    el("td", {class: "bars"}, bar(row.Wx, low, high), bar(row.b, low, high)),
    el("td", {class: "number"}, signed(row.Wx)), el("td", {class: "number"}, signed(row.b)));
}

function table(caption, heads, rows) {
  return el("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
    el("table", {class: "reach"}, el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", {scope: "col"}, head)))),
      el("tbody", {}, ...rows.map(([name, ...cells]) => el("tr", {},
        el("th", {scope: "row"}, name), ...cells.map((cell, i) =>
          el("td", {class: heads[i + 1] === "binding unit" ? "unit" : ""}, cell)))))));
}
