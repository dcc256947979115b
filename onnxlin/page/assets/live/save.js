// Files of what is seen: a picture, the numbers, x itself.

function hand(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = el("a", {href: url, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** All numbers of the answer, as JSON; W is a list of rows. */
function numbers() {
  const {feeds, x, W, b, outputs, y} = LIVE.answer, columns = DOC.map.columns;
  const listed = (data) => Array.from(plainOf(data));
  return {
    format: "onnxlin.live.answer", model: DOC.model, mode: DOC.map.mode, rounding: DOC.map.rounding,
    feeds: Object.fromEntries(DOC.feeds.map(({name, type, shape}) =>
      [name, {type, shape, values: listed(feeds[name])}])),
    x: listed(x), y: listed(y),
    rows: outputs.map((output, k) => ({
      ...DOC.rows[k], W: listed(W.subarray(k * columns, (k + 1) * columns)), b: b[k],
      shares: Object.fromEntries(DOC.ledger.nodes.map((node, i) => [node, DOC.ledger.shares[k][i]])),
    })),
  };
}

const CODES = {float32: "<f4", float64: "<f8", int64: "<i8", int32: "<i4", int16: "<i2", int8: "|i1",
  uint8: "|u1", uint16: "<u2", bool: "|b1"};

/** An array as NumPy's .npy, which onnxlin reads as an instance. */
function npy({type, shape}, data) {
  const tuple = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const text = `{'descr': '${CODES[type]}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const padded = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n";
  const head = new Uint8Array(10 + padded.length);
  head.set([0x93, ..."NUMPY".split("").map((letter) => letter.charCodeAt(0)), 1, 0,
    padded.length & 255, padded.length >> 8]);
  for (let i = 0; i < padded.length; i++) head[10 + i] = padded.charCodeAt(i);
  return new Blob([head, data]);
}

/** The canvases beside each other with their captions, or the bars where there are none. */
function drawing() {
  const all = [...document.querySelectorAll("#editors canvas, #views canvas")];
  const canvas = el("canvas", {}), context = canvas.getContext("2d");
  const title = $("answer").textContent;
  if (!all.length) return barDrawing(canvas, context, title);
  const line = all[0].classList.contains("line"), side = line ? 900 : 300;
  const tall = (one) => side * one.height / one.width;
  const down = line ? all.reduce((sum, one) => sum + tall(one) + 24, 0) : Math.max(...all.map(tall)) + 24;
  canvas.width = Math.max(600, line ? side + 20 : all.length * (side + 10) + 10);
  canvas.height = down + 44;
  ground(context, canvas, title);
  let at = 40;
  all.forEach((one, i) => {
    context.imageSmoothingEnabled = one.width >= 128;
    const x = line ? 10 : 10 + i * (side + 10);
    context.drawImage(one, x, at, side, tall(one));
    context.fillText(one.closest("figure")?.querySelector("figcaption")?.textContent ?? "input", x,
      at + tall(one) + 16, side);
    if (line) at += tall(one) + 24;
  });
  return canvas;
}

function ground(context, canvas, title) {
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#111";
  context.font = "13px sans-serif";
  context.fillText(title, 10, 22, canvas.width - 20);
}

function barDrawing(canvas, context, title) {
  const kept = features(chosen()).sort((p, q) => Math.abs(q.value) - Math.abs(p.value)).slice(0, 20);
  canvas.width = 700;
  canvas.height = 50 + 22 * kept.length;
  ground(context, canvas, title);
  const most = Math.max(...kept.map((item) => Math.abs(item.value))) || 1;
  kept.forEach((item, i) => {
    const y = 56 + 22 * i, wide = 160 * item.value / most;
    context.fillStyle = "#111";
    context.fillText(`${text(item.name)} (${text(item.note)})`, 10, y, 250);
    context.fillText(signed(item.value, 4), 610, y, 80);
    context.fillStyle = css(ramp(Math.sign(item.value) * 0.9));
    context.fillRect(Math.min(440, 440 + wide), y - 11, Math.abs(wide), 14);
  });
  return canvas;
}

function saveControls() {
  const stem = DOC.model.replace(/\.onnx$/, "").replace(/[^\w.-]+/g, "_");
  $("save-picture").addEventListener("click", () => drawing().toBlob((blob) => hand(`${stem}.png`, blob)));
  $("save-numbers").addEventListener("click", () => hand(`${stem}.json`,
    new Blob([JSON.stringify(numbers())], {type: "application/json"})));
  $("save-x").addEventListener("click", () => DOC.feeds.forEach((feed) =>
    hand(`${DOC.feeds.length > 1 ? feed.name.replace(/[^\w.-]+/g, "_") : "x"}.npy`,
      npy(feed, LIVE.answer.feeds[feed.name]))));
}
