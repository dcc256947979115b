// What is asked of the graph as x changes, and what the page holds of the answer.

const ALL_ROWS = 20, ALL_NUMBERS = 2 ** 20, STRONGEST = 2, TINY = Number.MIN_VALUE;
const LIVE = {feeds: {}, pick: {a: -1, b: -1}, answer: null, asked: 0, busy: null, again: false,
  runs: 0, agrees: null};

const everyRow = () => DOC.map.rows <= ALL_ROWS && DOC.map.rows * DOC.map.columns <= ALL_NUMBERS;
const nameOf = (output) => DOC.labels?.[output] ?? String(output);
const longName = (output) => (nameOf(output) === String(output) ? nameOf(output)
  : `${output} ${nameOf(output)}`);

/** Outputs that stand against each other, the largest first. */
function ordered(y, count) {
  const [start, stop] = DOC.span, found = [];
  for (let i = start; i < stop; i++) {
    if (found.length === count && !(y[i] > y[found.at(-1)])) continue;
    let at = found.length;
    while (at > 0 && y[i] > y[found[at - 1]]) at--;
    found.splice(at, 0, i);
    if (found.length > count) found.pop();
  }
  return found;
}

/** Which outputs are shown: those chosen, or the strongest and the second. */
function picked(y) {
  const first = ordered(y, 3), a = LIVE.pick.a >= 0 ? LIVE.pick.a : first[0];
  const second = first.find((output) => output !== a) ?? -1;
  const b = LIVE.pick.b === -2 ? second : LIVE.pick.b;
  return {a, b: b === a ? -1 : b};
}

/** Outputs whose rows of W are asked for at these values of F. */
function wanted(y) {
  if (everyRow()) return Array.from({length: DOC.map.rows}, (_, i) => i);
  const {a, b} = picked(y);
  return [...new Set([a, ...(b < 0 ? [] : [b]), ...ordered(y, STRONGEST)])];
}

/** The map at some feeds: y, x, and a row of W for every output in `outputs`. */
async function mapAt(feeds) {
  const rowsOf = async (outputs) =>
    ({...await compute(feeds, outputs.map((output) => [[output, 1]])), feeds, outputs});
  if (everyRow()) return rowsOf(wanted(null));
  // Mostly the rows are those of the answer before: F is known with them, at one run.
  const found = await rowsOf(LIVE.answer?.outputs ?? [0]), outputs = wanted(found.y);
  const there = outputs.every((output) => found.outputs.includes(output));
  return there && outputs.length === found.outputs.length ? found : rowsOf(outputs);
}

/** x has changed: answer, at once or as soon as the answer before is there. */
function changed() {
  LIVE.asked += 1;
  if (LIVE.busy) {
    LIVE.again = true;
    return LIVE.busy;
  }
  LIVE.busy = (async () => {
    do {
      LIVE.again = false;
      take(await mapAt(copied(LIVE.feeds)));
      // Between two answers the browser draws, and hears of what is done meanwhile.
      await new Promise((done) => setTimeout(done));
    } while (LIVE.again);
  })().catch(stopped).finally(() => { LIVE.busy = null; });
  return LIVE.busy;
}

function stopped(error) {
  $("failure").hidden = false;
  $("failure").textContent = `The graph could not be run: ${error.message ?? error}`;
}

/** Hold an answer: rows, contributions and shares as every view reads them; draw all. */
function take(found) {
  LIVE.answer = found;
  LIVE.runs += 1;
  const columns = DOC.map.columns, nodes = DOC.ledger.nodes.length;
  const chances = probabilities(found.y);
  DOC.places = found.outputs;
  DOC.ledger.shares = found.outputs.map((_, k) =>
    Array.from(found.shares.subarray(k * nodes, (k + 1) * nodes)));
  DOC.classes = found.outputs.map(() => ({rest: 0}));
  for (const part of PARTS) {
    part.x = found.x.subarray(part.start, part.stop);
    part.values = found.outputs.map((_, k) => {
      const row = found.W.subarray(k * columns + part.start, k * columns + part.stop);
      return Float64Array.from(row, (w, i) => w * part.x[i]);
    });
  }
  totals();
  DOC.rows = found.outputs.map((output, k) => rowFor(found, output, k, chances));
  const {a, b} = picked(found.y);
  state.a = found.outputs.indexOf(a);
  state.b = found.outputs.indexOf(b);
  drawLive();
}

/** One row with its residual, relative to the sizes that add up to it, as in Python. */
function rowFor(found, output, k, chances) {
  const columns = DOC.map.columns, b = found.b[k];
  let size = TINY;
  for (let i = 0; i < columns; i++) size += Math.abs(found.W[k * columns + i] * found.x[i]);
  for (const value of DOC.ledger.shares[k]) size += Math.abs(value);
  const F = found.y[output], Wx = DOC.classes[k].total, error = Math.abs(F - (Wx + b));
  const residual = error / size, bound = DOC.bound;
  const pass = bound !== null && residual <= bound;
  return {position: output, output, label: nameOf(output), F, Wx, b, error, residual, bound, pass,
    error_bound: bound === null ? null : bound * size, probability: chances ? chances[output] : null,
    verdict: bound === null ? "no bound" : pass ? "within" : "PAST IT"};
}

function probabilities(y) {
  if (!DOC.chances_are) return null;
  if (DOC.chances_are === "output") return y;
  const [start, stop] = DOC.span, within = y.subarray(start, stop);
  let most = -Infinity, total = 0;
  for (const value of within) most = Math.max(most, value);
  for (const value of within) total += Math.exp(value - most);
  return Float64Array.from(y, (value) => Math.exp(value - most) / total);
}

/** Whether this browser's F is Python's at the first input: each rounds within the bound. */
function heldAgainst(python) {
  const {y} = LIVE.answer;
  let off = 0, most = 0;
  y.forEach((value, i) => {
    off = Math.max(off, Math.abs(value - python[i]));
    most = Math.max(most, Math.abs(python[i]));
  });
  const allowed = Math.max(...DOC.rows.map((row) => 2 * (row.error_bound ?? Infinity)));
  LIVE.agrees = {off: most ? off / most : off, ok: !(off > allowed)};
}
