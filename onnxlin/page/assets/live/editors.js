// An editor for every input that the page feeds.

function editorOf(part) {
  if (part.kind === "tokens") {
    return DOC.vocabulary ? textEditor(part) : part.feed in LIVE.feeds ? tableEditor(part, part.feed) : null;
  }
  if (!part.fed) return null;
  if (part.kind === "picture") return pictureEditor(part);
  return part.kind === "series" ? seriesEditor(part) : tableEditor(part);
}

// Inputs of the model that the map does not start at: it starts at what is made of them.
const BESIDE = [];
const edited = () => [...PARTS, ...BESIDE];

function drawEditors() {
  const shown = [], taken_ = new Set();
  for (const part of edited()) {
    // Several tensors may be looked up by the same ids.
    if (part.kind === "tokens" && taken_.has(part.feed)) continue;
    const editor = editorOf(part);
    if (!editor) continue;
    taken_.add(part.kind === "tokens" ? part.feed : part.tensor);
    shown.push(edited().length > 1 ? el("h3", {}, part.tensor) : null, editor);
  }
  const held = DOC.feeds.filter((feed) => !taken_.has(feed.name)).map((feed) => feed.name);
  if (held.length) {
    shown.push(el("p", {class: "quiet"}, `Kept as they were given: ${held.join(", ")}.`));
  }
  $("editors").replaceChildren(...shown.filter(Boolean));
}

/** Put an input: all feeds, and what the editors show of them. */
function putFeeds(feeds, seen = null) {
  LIVE.feeds = copied(feeds);
  for (const part of edited()) {
    if (part.kind === "picture" && part.edited) {
      part.seen = seen?.[part.tensor]?.slice() ?? pixelsOf(part);
      paintEditor(part);
    }
    if (part.kind === "tokens" && DOC.vocabulary) {
      part.names = Array.from(LIVE.feeds[part.feed], (id) => DOC.vocabulary[Number(id)] || String(id));
    }
    part.refill?.();
  }
  return changed();
}

/** Pixels of what is fed, by the scale that it was made with. */
function pixelsOf(part) {
  const {factor, offset, turned} = part.scaling, found = new Uint8ClampedArray(part.seen.length);
  const feed = plainOf(LIVE.feeds[part.tensor]);
  for (let pixel = 0; pixel < part.width * part.height; pixel++) {
    const row = Math.floor(pixel / part.width), column = pixel % part.width;
    for (let c = 0; c < part.channels; c++) {
      const at = part.depth === 1 ? 0 : turned ? part.channels - 1 - c : c;
      found[pixel * part.depth + at] = (feed[entry(part, c, row, column)] - offset[c]) / factor[c];
    }
  }
  return found;
}

/** Pictures as they are seen now: kept beside a pinned input. */
const seenNow = () => Object.fromEntries(edited().filter((part) => part.edited)
  .map((part) => [part.tensor, part.seen.slice()]));
