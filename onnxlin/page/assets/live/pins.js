// Two inputs, pinned, and what changed from the one to the other.

const PINS = {A: null, B: null, serial: 0};

function pin(which) {
  const {y, feeds} = LIVE.answer;
  PINS[which] = {feeds, seen: seenNow(), strongest: ordered(y, 1)[0]};
  drawPins();
  return followPins();
}

function drawPins() {
  for (const which of ["A", "B"]) {
    const kept = PINS[which];
    $(`go-${which}`).disabled = !kept;
    $(`pin-said-${which}`).textContent = kept ? `strongest ${longName(kept.strongest)}` : "not pinned";
  }
  $("line").hidden = !(PINS.A && PINS.B);
  if (PINS.A && PINS.B) newLine();
}

/** What changed from A to B, or to the input as it is where B is not pinned. */
async function followPins() {
  const {A, B} = PINS, serial = ++PINS.serial;
  if (!A) return;
  const one = chosen(), output = DOC.places[one.a], against = one.b < 0 ? -1 : DOC.places[one.b];
  const seed = [[output, 1], ...(against < 0 ? [] : [[against, -1]])];
  const key = seed.join();
  const at = async (kept) => (kept.at?.key === key ? kept.at
    : kept.at = {key, ...await compute(kept.feeds, [seed])});
  const now = B ?? {feeds: LIVE.answer.feeds};
  const [from, to] = [await at(A), await at(now)];
  // Another question may have been asked meanwhile.
  if (serial === PINS.serial) drawChange(one, seed, from, to, B ? "B" : "now");
}

function drawChange(one, seed, from, to, last) {
  const F = (found) => seed.reduce((sum, [at, factor]) => sum + factor * found.y[at], 0);
  const each = (found) => Float64Array.from(found.W, (w, i) => w * found.x[i]);
  const [first, second] = [each(from), each(to)];
  const total = (values) => values.reduce((sum, value) => sum + value, 0);
  const rows = [["F(x)", F(from), F(to)], ["W x", total(first), total(second)], ["b", from.b[0], to.b[0]]];
  const change = second.map((value, i) => value - first[i]);
  const shares = DOC.ledger.nodes.map((node, i) => (
    {name: node, note: "", value: to.shares[i] - from.shares[i]}));
  const shown = PARTS.map((part) => ({...part, x: to.x.subarray(part.start, part.stop),
    values: [change.subarray(part.start, part.stop)]}));
  const only = {name: one.name, a: 0, b: -1};
  $("changes").replaceChildren(
    el("p", {class: "lead"}, `Of ${one.name}, from A to ${last}. Both are maps of their own: W changes `
      + "with x, and so does b."),
    table("What changed", ["", "A", last, "change"], rows.map(([name, p, q]) =>
      [name, num(p), num(q), signed(q - p)])),
    ...shown.filter((part) => part.kind === "picture").map((part) => changeMap(part, only)),
    el("div", {class: "pair even"},
      el("div", {}, el("h3", {}, "Contributions"), ...bars("changed", changedFeatures(shown, only),
        ["feature", "", "change of W x"], followPins, "", 8)),
      el("div", {}, el("h3", {}, "Bias of nodes"), ...bars("changed-b", shares,
        ["node", "", "change of b"], followPins, "", 8))));
}

function changeMap(part, one) {
  const values = plane(part, one), limit = limitOf(values);
  const canvas = paint({...part, seen: new Uint8Array(part.seen.length).fill(255)},
    heatMap({...part, seen: new Uint8Array(part.seen.length).fill(255)}, values, limit),
    `heat map of the change of ${DOC.what}`);
  return el("figure", {class: "change"}, el("div", {class: `frame${part.width >= 128 ? " photo" : ""}`,
    style: {aspectRatio: `${part.width} / ${part.height}`}}, canvas),
  legend(limit, values.some((value) => Math.abs(value) > limit)));
}

function changedFeatures(shown, one) {
  const found = [];
  for (const part of shown) {
    if (part.kind === "picture") pixels(part, one, "", found);
    else if (part.kind === "tokens") {
      part.names.forEach((name, at) => found.push({name: `${at}: ${name}`, note: "",
        value: tokenValue(part, one, at)}));
    } else part.values[0].forEach((value, i) => found.push({name: entryName(part, i), note: "", value}));
  }
  return found;
}

function pinControls() {
  for (const which of ["A", "B"]) {
    $(`pin-${which}`).addEventListener("click", () => pin(which));
    $(`go-${which}`).addEventListener("click", () => putFeeds(PINS[which].feeds, PINS[which].seen));
  }
  drawPins();
}
