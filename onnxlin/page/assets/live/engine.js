// The graph and its runtime, unpacked out of the page and run beside it.

const NEEDS = "WebAssembly with SIMD and DecompressionStream: Chrome 91, Firefox 114, Safari 16.4 or newer.";
const ENGINE = {worker: null, waiting: new Map(), asked: 0, lost: null};

function bytesOf(text) {
  const letters = atob(text), found = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) found[i] = letters.charCodeAt(i);
  return found;
}

/** Unpack what onnxlin.page wrote gzipped into an element, and let go of the text. */
async function taken(id) {
  const holder = $(id), kept = bytesOf(holder.textContent.trim());
  holder.remove();
  const stream = new Blob([kept]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function ask(what, message = {}, moved = []) {
  const id = ++ENGINE.asked;
  return new Promise((done, fail) => {
    if (ENGINE.lost) throw ENGINE.lost;
    ENGINE.waiting.set(id, {done, fail});
    ENGINE.worker.postMessage({id, what, ...message}, moved);
  });
}

async function startEngine() {
  const url = URL.createObjectURL(new Blob([$("worker").textContent], {type: "text/javascript"}));
  // A classic worker: one that is a module is refused where the page is a file.
  ENGINE.worker = new Worker(url);
  ENGINE.worker.onmessage = ({data}) => {
    const {done, fail} = ENGINE.waiting.get(data.id);
    ENGINE.waiting.delete(data.id);
    if (data.error === undefined) done(data.found);
    else fail(new Error(data.error));
  };
  ENGINE.worker.onerror = (event) => {
    ENGINE.lost = new Error(event.message || "the worker did not start");
    for (const {fail} of ENGINE.waiting.values()) fail(ENGINE.lost);
    ENGINE.waiting.clear();
  };
  const [script, wasm, model] = await Promise.all(["ort", "wasm", "model"].map(taken));
  await ask("start", {script, wasm, model}, [script.buffer, wasm.buffer, model.buffer]);
  URL.revokeObjectURL(url);
}

/** Feeds as they are now: what an answer is kept with. */
const copied = (feeds) => Object.fromEntries(
  Object.entries(feeds).map(([name, data]) => [name, data.slice()]));

const FLOATS = new Set(["float32", "float64"]);
const wide = () => DOC.feeds.some((feed) => feed.type === "float64");

/**
 * Run the graph: {y, x, W, b, shares, took}.
 *
 * `seeds` is a list of rows [[output, factor], ...]; W, b and shares have a row for each.
 */
async function compute(feeds, asked) {
  // A graph that takes rows one after another refuses to take none.
  const seeds = asked.length ? asked : [[]];
  const {given, rows, bias, shares} = DOC.names;
  const count = DOC.map.rows, kind = wide() ? "float64" : "float32";
  const data = new ARRAYS[kind](seeds.length * count);
  seeds.forEach((row, k) => row.forEach(([at, factor]) => { data[k * count + at] += factor; }));
  const all = {[given]: {type: kind, data, shape: [seeds.length, count]}};
  for (const feed of DOC.feeds) {
    all[feed.name] = {type: feed.type, data: feeds[feed.name], shape: feed.shape};
  }
  const hidden = DOC.columns.map((one) => one.tensor).filter((name) => !(name in feeds));
  const ends = DOC.outputs.map((one) => one.tensor);
  const fetches = [...new Set([...ends, ...hidden, ...(asked.length ? [rows, bias, shares] : [])])];
  const {outputs, took} = await ask("run", {feeds: all, fetches});
  const x = new Float64Array(DOC.map.columns), y = new Float64Array(count);
  for (const {tensor, start} of DOC.columns) x.set(plainOf(feeds[tensor] ?? outputs[tensor].data), start);
  for (const {tensor, start} of DOC.outputs) y.set(plainOf(outputs[tensor].data), start);
  return {y, x, W: outputs[rows]?.data, b: outputs[bias]?.data, shares: outputs[shares]?.data, took};
}

const plainOf = (data) => (data instanceof BigInt64Array ? Float64Array.from(data, Number) : data);
