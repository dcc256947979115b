// A brush on a small picture: soft at its border, and no darker where a stroke crosses itself.

const UNDO = 10;

/** Pixel values as entries of x, in the order and scale that the model was trained with. */
function writePixel(part, pixel) {
  const {factor, offset, turned} = part.scaling, feed = LIVE.feeds[part.tensor];
  const row = Math.floor(pixel / part.width), column = pixel % part.width;
  for (let c = 0; c < part.channels; c++) {
    const at = part.depth === 1 ? 0 : turned ? part.channels - 1 - c : c;
    const value = part.seen[pixel * part.depth + at] * factor[c] + offset[c];
    const place = entry(part, c, row, column);
    feed[place] = feed instanceof BigInt64Array ? BigInt(Math.round(value)) : value;
  }
}

/** Begin a stroke: what was there, and how much of every pixel is covered. */
function beginStroke(part) {
  remember(part);
  part.stroke = {before: part.seen.slice(), cover: new Float32Array(part.width * part.height),
    last: null};
}

function remember(part) {
  part.history ??= [];
  part.history.push({seen: part.seen.slice(), feed: LIVE.feeds[part.tensor].slice()});
  if (part.history.length > UNDO) part.history.shift();
}

function undo(part) {
  const kept = part.history?.pop();
  if (!kept) return;
  part.seen = kept.seen;
  LIVE.feeds[part.tensor] = kept.feed;
  paintEditor(part);
  changed();
}

/** Draw on to a place, in pixels: a row of dabs from the last place to this. */
function strokeTo(part, x, y, colour) {
  const {stroke} = part, from = stroke.last ?? [x, y];
  const count = Math.max(1, Math.ceil(3 * Math.hypot(x - from[0], y - from[1])));
  for (let i = 1; i <= count; i++) {
    dab(part, from[0] + (x - from[0]) * i / count, from[1] + (y - from[1]) * i / count, colour);
  }
  stroke.last = [x, y];
}

/** Cover a disc: wholly inside, in part at its border. */
function dab(part, x, y, colour) {
  const radius = part.brush / 2, {stroke} = part, reach = Math.ceil(radius + 1);
  for (let row = Math.max(0, Math.floor(y) - reach); row <= Math.min(part.height - 1, y + reach); row++) {
    for (let column = Math.max(0, Math.floor(x) - reach);
      column <= Math.min(part.width - 1, x + reach); column++) {
      const away = Math.hypot(column + 0.5 - x, row + 0.5 - y);
      const cover = Math.max(0, Math.min(1, radius + 0.5 - away)), pixel = row * part.width + column;
      if (cover <= stroke.cover[pixel]) continue;
      stroke.cover[pixel] = cover;
      for (let c = 0; c < part.depth; c++) {
        const at = pixel * part.depth + c, before = stroke.before[at];
        part.seen[at] = Math.round(before + cover * (colour[c] - before));
      }
      writePixel(part, pixel);
    }
  }
}

/** The whole picture at once: {width, height, depth, data} of the part's own size. */
function putPicture(part, image) {
  remember(part);
  for (let pixel = 0; pixel < part.width * part.height; pixel++) {
    const [r, g, b] = image.data.subarray(pixel * image.depth, pixel * image.depth + 3);
    const grey = part.depth === 1 || part.scaling.grey ? greyOf(r, g, b) : null;
    for (let c = 0; c < part.depth; c++) part.seen[pixel * part.depth + c] = grey ?? [r, g, b][c];
    writePixel(part, pixel);
  }
  paintEditor(part);
  return changed();
}

function fillPicture(part, colour) {
  remember(part);
  for (let pixel = 0; pixel < part.width * part.height; pixel++) {
    for (let c = 0; c < part.depth; c++) part.seen[pixel * part.depth + c] = colour[c];
    writePixel(part, pixel);
  }
  paintEditor(part);
  changed();
}
