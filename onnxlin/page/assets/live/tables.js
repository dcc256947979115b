// The editor of numbers: a slider and a field for every entry.

const MOST_FIELDS = 200, STEPS = 200;

/** Where a slider goes: the range that is known, or around the value. */
function sliderRange(part, i, value) {
  const known = DOC.ranges && part.fed ? DOC.ranges.map((ends) => ends[part.start + i]) : null;
  if (known && known[1] > known[0]) {
    const room = (known[1] - known[0]) / 10;
    return [Math.min(value, known[0] - room), Math.max(value, known[1] + room)];
  }
  const size = Math.abs(value) || 1;
  return [value - 1.5 * size, value + 1.5 * size];
}

/** Fields for the entries of one feed; `part` is what they are of, with names. */
function tableEditor(part, feed = part.tensor) {
  const data = LIVE.feeds[feed], whole_ = !FLOATS.has(DOC.feeds.find((f) => f.name === feed).type);
  const lines = Array.from(data.subarray(0, MOST_FIELDS), (value, i) =>
    fieldLine(part, feed, i, Number(value), whole_));
  part.refill = () => lines.forEach(({put}, i) => put(Number(LIVE.feeds[feed][i])));
  return el("div", {class: "editor fields"}, ...lines.map(({line}) => line),
    data.length > MOST_FIELDS ? el("p", {class: "quiet"}, `The first ${MOST_FIELDS} of `
      + `${whole(data.length)} entries; the others keep their values.`) : null);
}

function fieldLine(part, feed, i, value, whole_) {
  const name = part.names[i] && part.kind !== "tokens" ? part.names[i] : entryName({...part, names: []}, i);
  const [low, high] = whole_ ? [0, Math.max(10, 2 * value)] : sliderRange(part, i, value);
  const range = el("input", {type: "range", min: low, max: high, step: whole_ ? 1 : "any", value,
    "aria-label": `${name}, slider`});
  const field = el("input", {type: "number", step: whole_ ? 1 : "any", value: shortOf(value),
    "aria-label": name});
  const set_ = (given) => {
    const data = LIVE.feeds[feed];
    data[i] = data instanceof BigInt64Array ? BigInt(Math.round(given)) : given;
    changed();
  };
  // Sliders with step "any" go by hundredths of nothing under keys: make them steps of their own.
  range.addEventListener("keydown", (event) => {
    const sign = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1}[event.key];
    if (!sign || whole_) return;
    event.preventDefault();
    range.value = Number(range.value) + sign * (range.max - range.min) / STEPS;
    range.dispatchEvent(new Event("input"));
  });
  range.addEventListener("input", () => {
    field.value = shortOf(Number(range.value));
    set_(Number(field.value));
  });
  field.addEventListener("input", () => {
    if (field.value === "" || !Number.isFinite(field.valueAsNumber)) return;
    widen(range, field.valueAsNumber);
    range.value = field.value;
    set_(field.valueAsNumber);
  });
  const put = (given) => {
    widen(range, given);
    range.value = given;
    if (Number(field.value) !== given) field.value = shortOf(given);
  };
  return {put, line: el("div", {class: "field"}, el("span", {class: "name"}, name), range, field)};
}

function widen(range, value) {
  if (value < Number(range.min)) range.min = value;
  if (value > Number(range.max)) range.max = value;
}

const shortOf = (value) => String(Number(value.toPrecision(6)));
