// Verdict, region, and how the map was made.

function drawHead() {
  const rows = [...DOC.rows].sort((p, q) => q.F - p.F), first = rows[0];
  if (first) {
    const chance = first.probability === null ? ""
      : `, ${share(first.probability)} (${DOC.chances_are === "output" ? "the output"
        : "softmax, for display only"})`;
    $("answer").replaceChildren("Strongest output: ", el("b", {}, labelOf(first)),
      `, F(x) = ${num(first.F)}${chance}`);
  }
  const found = DOC.residual, failed = found.verdict === "FAIL";
  $("verdict").replaceChildren(
    el("span", {class: found.pass ? "pass" : "fail"}, found.verdict),
    found.row === null ? " no rows" : ` F(x) = W x + b: residual ${bare(found.residual)} of output `
      + `${found.row} is ${failed ? "past" : "within"} what rounding allows, ${bare(found.bound)}; `
      + `off by ${bare(found.error)}, at most ${bare(found.error_bound)}`
      + (found.pass || failed ? "" : ": as large as F may be, so this proves nothing. "
        + (found.because || "")));
}

function drawRegion() {
  const found = DOC.region;
  if (found.why_not) {
    $("reach").replaceChildren(...noRegion(found));
    return;
  }
  const facts = [`${whole(found.guards)} constraints define this region: as long as they `
    + "hold, the model is this W and b."];
  if (found.ties) {
    facts.push(`x lies on ${whole(found.ties)} of them (equal maxima of a window, say), so it is on `
      + "the border of its region and every radius is 0. Radii and steps here ignore those ties.");
  }
  if (found.beyond) {
    facts.push(`${whole(found.beyond)} constraints are closer to x than float32 rounding.`);
  }
  if (found.radii.some((one) => !one.exact)) {
    facts.push(found.sweeps
      ? `After ${whole(found.sweeps)} gradient${found.sweeps > 1 ? "s" : ""} a radius is still a pair of bounds; --sweeps N `
        + "searches on."
      : "A search for the radius takes long in a model of this size, so that the steps bound it "
        + "from above here; --sweeps N searches.");
  }
  $("reach").replaceChildren(el("p", {}, facts.join(" ")), 
    el("div", {class: "pair"}, radii(found), steps(found)));
}

function noRegion(found) {
  if (found.why_not !== "smooth") return [el("p", {}, `No region: ${found.why_not}.`)];
  const more = found.more ? [el("li", {}, `and ${found.more} more`)] : [];
  return [el("p", {}, "The map holds at x alone: nodes are smooth, or have jumps that can't be located. "
    + "Outputs before them (--outputs logits, say) may have a region; onnxlin region measures how "
    + "far W moves instead."),
  el("ul", {class: "names"}, ...found.obstacles.map((text) => el("li", {}, text)), ...more)];
}

const NORMS = {l2: "ℓ2", l1: "ℓ1", linf: "ℓ∞"};

function radii(found) {
  const size = (one) => one.exact ? num(one.upper)
    : one.sweeps ? `${num(one.lower)} to ${num(one.upper)}` : `at most ${num(one.upper)}`;
  const how = (one) => one.exact ? "exact" : "bounds";
  return table("Radius: distance to the border", ["norm", "radius", "", "binding unit"],
    found.radii.map((one) => [NORMS[one.norm], size(one), how(one), one.unit ?? "none"]));
}

function steps(found) {
  const way = (one) => one.towards === null ? "x = 0"
    : labelOf(rowOf(one.towards));
  const until = (one) => one.length === null ? "never"
    : num(one.length) + (one.share === null ? "" : ` (${share(one.share)} of the way)`);
  return table("Step: distance (ℓ2) at which the pattern first changes",
    ["towards", "step", "tie predicted at (if the map stayed valid)", "binding unit"],
    found.steps.map((one) => [way(one), until(one), one.level === null ? "" : num(one.level),
      one.units.length ? one.units[0] + (one.together > 1 ? `, ${one.together - 1} more` : "")
        : "none"]));
}

function drawAbout() {
  const {map, inputs, outputs, kinks} = DOC;
  const shapes = (named) => Object.entries(named)
    .map(([name, shape]) => `${name} ${shape.join(" × ") || "scalar"}`).join(", ");
  const facts = {
    model: DOC.model, input: [DOC.source, ...DOC.notes].join("; "),
    ...(DOC.baseline ? {baseline: DOC.baseline} : {}),
    shapes: `${shapes(inputs)} → ${shapes(outputs)}`,
    map: `W ${whole(map.rows)} × ${whole(map.columns)}, ${map.dtype}, ${map.mode} mode, rounding: `
      + map.rounding,
    nodes: Object.entries(map.status).map(([status, count]) => `${count} ${status}`).join(", "),
    engine: `${map.engine}: ${map.plan}`,
    kinks: `${whole(kinks.ties)} units on a kink, ${whole(kinks.within_near)} within `
      + num(kinks.near),
    ...(map.notes.length ? {notes: map.notes.join("; ")} : {}),
  };
  $("facts").replaceChildren(...Object.entries(facts).flatMap(([name, text]) =>
    [el("dt", {}, name), el("dd", {}, text)]));
}
