// Putting it together: unpack, start the engine, answer the first input.

async function unpackLive() {
  for (const feed of DOC.feeds) LIVE.feeds[feed.name] = await unpack(feed.x);
  for (const part of [...DOC.parts, ...DOC.beside]) {
    const found = {...part, values: [], x: new Float64Array(part.stop - part.start)};
    if (part.pixels) {
      found.seen = await unpack(part.pixels);
      found.depth = part.pixels.shape[2];
    }
    if (part.fed) found.x.set(plainOf(LIVE.feeds[part.tensor]));
    (DOC.beside.includes(part) ? BESIDE : PARTS).push(found);
  }
}

function drawLiveAbout() {
  const {map} = DOC;
  const facts = {
    model: DOC.model, "first input": [DOC.source, ...DOC.notes].join("; "),
    map: `W ${whole(map.rows)} × ${whole(map.columns)}, ${map.mode} mode, rounding: ${map.rounding}`,
    graph: `${whole(map.nodes)} nodes, ${num(map.bytes / 2 ** 20, 3)} MB, written by ${map.producer}`,
    engine: `onnxruntime-web ${DOC.engine}, WebAssembly, one thread`,
    ...(map.notes.length ? {notes: map.notes.join("; ")} : {}),
  };
  $("facts").replaceChildren(...Object.entries(facts).flatMap(([name, said_]) =>
    [el("dt", {}, name), el("dd", {}, said_)]));
  $("licences").addEventListener("toggle", async () => {
    if (!$("notices")) return;
    $("licence-text").textContent = new TextDecoder().decode(await taken("notices"));
  });
}

async function start() {
  await unpackLive();
  const python = await unpack(DOC.y);
  await startEngine();
  $("main").hidden = false;
  drawEditors();
  pinControls();
  lineControls();
  saveControls();
  drawLiveAbout();
  liveControls();
  pick(...(DOC.open ?? [-1, DOC.map.rows > 1 ? -2 : -1]));
  await LIVE.busy;
  if (!LIVE.answer) return;
  heldAgainst(python);
  drawVerdict();
  const first = {feeds: LIVE.answer.feeds, seen: seenNow()};
  $("first").addEventListener("click", () => putFeeds(first.feeds, first.seen));
}

start().catch(failed).finally(() => { document.documentElement.dataset.ready = "yes"; });
