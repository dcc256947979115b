// Which outputs are shown, and the head of the page.

const MOST_OPTIONS = 2000;

function liveControls() {
  const count = Math.min(DOC.map.rows, MOST_OPTIONS);
  const each = () => Array.from({length: count}, (_, i) => option(i, longName(i)));
  $("a").replaceChildren(option(-1, "the strongest"), ...each());
  $("b").replaceChildren(option(-1, "none"), option(-2, "the next strongest"), ...each());
  $("a").addEventListener("change", () => pick(Number($("a").value), LIVE.pick.b));
  $("b").addEventListener("change", () => pick(LIVE.pick.a, Number($("b").value)));
  pictureControls();
}

/** Show other outputs; rows that are not there yet are asked for. */
function pick(a, b) {
  LIVE.pick = {a, b};
  $("a").value = a;
  $("b").value = b;
  return changed();
}

/** What the table of rows calls: places among the rows, -1 for none. */
function choose(a, b) {
  return pick(DOC.places[a], b < 0 ? -1 : DOC.places[b]);
}

function redraw() {
  drawViews();
  drawFeatures();
  drawLedger();
  drawRows();
  $("rows-lead").textContent = "F(x) = W x + b, output by output. Choose an output to see its row."
    + (DOC.rows.length < DOC.map.rows ? ` ${whole(DOC.rows.length)} of ${whole(DOC.map.rows)} rows: `
      + "those chosen and the strongest." : "");
  $("residual-lead").textContent = "|F(x) − (W x + b)|, both as this browser computed them, relative "
    + "to the sizes that add up to it. The bound was derived in Python at the first input, for the row "
    + "where it is largest. At other inputs it is a mark to hold the residual against, and no proof.";
}

/** All that follows x. */
function drawLive() {
  redraw();
  drawAnswer();
  drawVerdict();
  followPins();
  for (const part of PARTS) part.follow?.();
}

function drawAnswer() {
  const [first] = ordered(LIVE.answer.y, 1), row = DOC.rows.find((one) => one.output === first);
  const chance = row.probability === null ? ""
    : `, ${share(row.probability)} (${DOC.chances_are === "output" ? "the output"
      : "softmax, for display only"})`;
  $("answer").replaceChildren("Strongest output: ", el("b", {id: "strongest"}, labelOf(row)),
    `, F(x) = ${num(row.F)} = W x ${signed(row.Wx)} and b ${signed(row.b)}${chance}`);
}

function drawVerdict() {
  const worst = [...DOC.rows].sort((p, q) => q.residual - p.residual || 0)[0];
  const ok = DOC.rows.every((row) => row.pass), known = DOC.bound !== null;
  const said_ = known ? `${ok ? "within" : "past"} the bound of the first input, ${bare(DOC.bound)}`
    : "for which no bound is known: rounding may be as large as F(x)";
  const first = LIVE.agrees;
  const beside = !first ? "" : first.ok
    ? `. At the first input F(x) was off from Python's by ${bare(first.off)} of the largest`
    : `. At the first input F(x) was NOT Python's: off by ${bare(first.off)} of the largest`;
  const good = ok && (!first || first.ok);
  $("verdict").replaceChildren(
    el("span", {class: good ? "pass" : "fail"}, good ? "W x + b is F(x)" : "do not trust this"),
    ` residual ${bare(worst.residual)} of output ${worst.label}, ${said_}${beside}. `,
    el("span", {class: "quiet", id: "took"}, `${num(LIVE.answer.took, 2)} ms`));
}
