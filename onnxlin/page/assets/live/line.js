// The straight line from A to B: F of the strongest outputs along it, and where the class changes.

const POINTS = 32, HALVINGS = 16, CHART = {wide: 600, tall: 180, left: 46, right: 8, top: 8, bottom: 20};
const LINE = {serial: 0, points: [], changes: [], t: 0};

/** Feeds at a share of the way; whole numbers cannot be in between, and stay those of A. */
function between(t) {
  const found = {};
  for (const {name, type} of DOC.feeds) {
    const from = PINS.A.feeds[name], to = PINS.B.feeds[name];
    found[name] = FLOATS.has(type) && t > 0 ? from.map((value, i) => (t === 1 ? to[i]
      : value + t * (to[i] - value))) : from.slice();
  }
  return found;
}

const stepsBetween = () => DOC.feeds.some(({name, type}) => FLOATS.has(type)
  && PINS.A.feeds[name].some((value, i) => value !== PINS.B.feeds[name][i]));

async function newLine() {
  const serial = ++LINE.serial;
  Object.assign(LINE, {points: [], changes: [], t: 0});
  $("t").value = 0;
  $("line-tools").hidden = !stepsBetween();
  if (!stepsBetween()) {
    $("line-said").textContent = "A and B do not differ in numbers that a line could pass through.";
    $("line-chart").replaceChildren();
    return;
  }
  const at = async (t) => {
    const {y} = await compute(between(t), []);
    return {t, y, top: ordered(y, 1)[0]};
  };
  for (let i = 0; i <= POINTS; i++) {
    LINE.points.push(await at(i / POINTS));
    if (serial !== LINE.serial) return;
  }
  for (let i = 1; i <= POINTS; i++) {
    if (LINE.points[i].top === LINE.points[i - 1].top) continue;
    LINE.changes.push(await changeBetween(at, LINE.points[i - 1], LINE.points[i]));
    if (serial !== LINE.serial) return;
  }
  drawLineChart();
}

/** Halve an interval at whose ends the strongest output differs. */
async function changeBetween(at, low, high) {
  for (let i = 0; i < HALVINGS; i++) {
    const middle = await at((low.t + high.t) / 2);
    if (middle.top === low.top) low = middle;
    else high = middle;
  }
  return {before: low.t, t: high.t, from: low.top, to: high.top};
}

function drawLineChart() {
  const {points, changes} = LINE, {wide, tall, left, right, top, bottom} = CHART;
  const tops = [...new Set(points.map((point) => point.top))];
  const shown = [...new Set([...tops, ...ordered(points[0].y, 3)])].slice(0, 5);
  const all = points.flatMap(({y}) => shown.map((output) => y[output]));
  const low = Math.min(...all), high = Math.max(...all), room = high - low || 1;
  const across = (t) => left + t * (wide - left - right);
  const down = (value) => top + (1 - (value - low) / room) * (tall - top - bottom);
  const path = (output) => points.map(({t, y}, i) =>
    `${i ? "L" : "M"}${across(t).toFixed(1)} ${down(y[output]).toFixed(1)}`).join("");
  const mark = svg("line", {id: "line-mark", y1: top, y2: tall - bottom, class: "mark"});
  const words = (x, y, text, anchor = "middle") => {
    const made = svg("text", {x, y, "text-anchor": anchor});
    made.textContent = text;
    return made;
  };
  $("line-chart").replaceChildren(
    svg("svg", {viewBox: `0 0 ${wide} ${tall}`, role: "img", "aria-label": "F of the strongest outputs "
      + `from A to B; ${changes.length} changes of the strongest output`},
    ...changes.map(({t}) => svg("line", {x1: across(t), x2: across(t), y1: top, y2: tall - bottom,
      class: "change"})),
    ...shown.map((output, i) => svg("path", {d: path(output), class: `curve k${i}`})),
    words(left - 6, down(high) + 8, num(high, 3), "end"), words(left - 6, down(low), num(low, 3), "end"),
    words(left, tall - 4, "A", "start"), words(wide - right, tall - 4, "B", "end"), mark),
    el("p", {class: "keys"}, ...shown.map((output, i) =>
      el("span", {class: `key k${i}`}, longName(output)))));
  $("line-said").textContent = changes.length
    ? `The strongest output changes ${changes.length === 1 ? "once" : `${changes.length} times`}: `
      + `${changes.map(({t, from, to}) => `${longName(from)} to ${longName(to)} at ${num(t, 4)} of the way`)
        .join("; ")}. Looked for at ${POINTS + 1} points: a change there and back between two of them is `
      + "not seen."
    : `The strongest output is ${longName(points[0].top)} at all ${POINTS + 1} points.`;
  showMark();
}

function showMark() {
  const mark = $("line-mark");
  $("t-said").textContent = `${num(100 * LINE.t, 3)} % of the way`;
  if (!mark) return;
  const x = CHART.left + LINE.t * (CHART.wide - CHART.left - CHART.right);
  mark.setAttribute("x1", x);
  mark.setAttribute("x2", x);
}

/** Go to a share of the way: the page shows the map there. */
function goTo(t) {
  LINE.t = t;
  $("t").value = t;
  showMark();
  const end = t === 0 ? PINS.A : t === 1 ? PINS.B : null;
  return putFeeds(between(t), end?.seen);
}

function lineControls() {
  $("t").addEventListener("input", () => goTo(Number($("t").value)));
  $("next").addEventListener("click", () => goTo(LINE.changes.find(({t}) => t > LINE.t)?.t ?? 1));
  $("back").addEventListener("click", () =>
    goTo(LINE.changes.findLast(({before}) => before < LINE.t)?.before ?? 0));
}
