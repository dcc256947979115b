// Pictures: the input beside a heat map of every row shown, with one cursor in all of them.

const GREY_LOW = 0.84;

const entry = (part, channel, row, column) => part.layout === "nhwc"
  ? (row * part.width + column) * part.channels + channel
  : (channel * part.height + row) * part.width + column;

/** Channels that are added up. */
const channelsOf = (part) => state.channel >= 0 && state.channel < part.channels
  ? [state.channel] : Array.from({length: part.channels}, (_, c) => c);

const entriesAt = (part, row, column) =>
  channelsOf(part).map((channel) => entry(part, channel, row, column));

/** Contributions of every pixel to what is shown in one panel. */
function plane(part, one) {
  const found = new Float64Array(part.height * part.width);
  for (const channel of channelsOf(part)) {
    for (let row = 0; row < part.height; row++) {
      for (let column = 0; column < part.width; column++) {
        found[row * part.width + column] += valueAt(part, one, entry(part, channel, row, column));
      }
    }
  }
  return found;
}

/** Blur by a Gaussian of so many pixels, for the eye; 0 beyond the border. */
function smoothed(part, values, sigma) {
  if (!sigma) return values;
  const reach = Math.round(4 * sigma);
  const weights = Array.from({length: 2 * reach + 1}, (_, i) =>
    Math.exp(-0.5 * ((i - reach) / sigma) ** 2));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const along = (from, count, stride, lines, apart) => {
    const to = new Float64Array(from.length);
    for (let line = 0; line < lines; line++) {
      for (let at = 0; at < count; at++) {
        const low = Math.max(0, at - reach), high = Math.min(count - 1, at + reach);
        let sum = 0;
        for (let k = low; k <= high; k++) {
          sum += weights[k - at + reach] * from[line * apart + k * stride];
        }
        to[line * apart + at * stride] = sum / total;
      }
    }
    return to;
  };
  const down = along(values, part.height, part.width, part.width, 1);
  return along(down, part.width, 1, part.height, part.width);
}

function luma(part, pixel) {
  const at = pixel * part.depth, seen = part.seen;
  return part.depth < 3 ? seen[at] / 255
    : (0.299 * seen[at] + 0.587 * seen[at + 1] + 0.114 * seen[at + 2]) / 255;
}

/** Colours multiplied with the lifted grey picture; strong entries keep their exact colour. */
function heatMap(part, values, limit) {
  return (pixel, into) => {
    const ratio = values[pixel] / limit, weight = Math.min(1, Math.abs(ratio));
    const grey = GREY_LOW + (1 - GREY_LOW) * luma(part, pixel);
    ramp(ratio, into);
    for (let i = 0; i < 3; i++) into[i] *= weight + (1 - weight) * grey;
  };
}

const asSeen = (part) => (pixel, into) => {
  const at = pixel * part.depth;
  for (let i = 0; i < 3; i++) into[i] = part.seen[part.depth < 3 ? at : at + i];
};

/** Draw a picture at its own resolution; colour(pixel, into) writes red, green and blue. */
function paint(part, colour, name) {
  const canvas = el("canvas", {width: part.width, height: part.height, role: "img",
    "aria-label": name});
  const context = canvas.getContext("2d");
  const image = context.createImageData(part.width, part.height);
  const found = [0, 0, 0];
  for (let pixel = 0; pixel < part.width * part.height; pixel++) {
    colour(pixel, found);
    for (let i = 0; i < 3; i++) image.data[4 * pixel + i] = found[i];
    image.data[4 * pixel + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** One panel: a picture with its caption and a marker for the cursor. */
function panel(part, colour, name, caption, over = null) {
  const marker = el("div", {class: "marker", hidden: true});
  const wide = part.width >= 128 ? " photo" : "";
  return el("figure", {},
    el("div", {class: `frame${wide}`, style: {aspectRatio: `${part.width} / ${part.height}`}},
      paint(part, colour, name), ...(over ? [over] : []), marker),
    el("figcaption", {}, caption));
}

/** Draw a part of kind "picture". */
function pictureView(part) {
  const shown = panels(), map = hiddenMap();
  const planes = shown.map((one) => map ? hiddenPlane(part, map, one)
    : smoothed(part, plane(part, one), state.blur));
  const all = new Float64Array(planes.length * planes[0].length);
  planes.forEach((values, i) => all.set(values, i * values.length));
  const limit = limitOf(all), past = all.some((value) => Math.abs(value) > limit);
  const note = state.blur ? ` (smoothed for the eye, sigma ${state.blur} px)` : "";
  // Where the input is drawn on, it stands there already.
  const figures = part.edited ? [] : [panel(part, asSeen(part), "the input", "input")];
  shown.forEach((one, i) => figures.push(map
    ? panel(part, heatMap(part, planes[i], limit), `heat map of W_h h at ${hiddenName(map)}, ${one.name}`,
      hiddenCaption(map, one), gridLines(part, map))
    : panel(part, heatMap(part, planes[i], limit),
      `heat map of ${DOC.what}, ${one.name}`, `${DOC.what}: ${one.name}${note}`)));
  const box = readout(part);
  const group = el("div", {class: figures.length < 3 ? "panels two" : "panels", tabindex: 0, role: "application",
    "aria-roledescription": "heat maps", "aria-describedby": box.id,
    "aria-label": `Heat maps of ${part.tensor}. Arrow keys go from pixel to pixel. The strongest `
      + "pixels stand in the table of contributions."}, ...figures);
  follow(part, group, box);
  return el("div", {class: "view picture", "data-tensor": part.tensor}, group, box,
    legend(limit, past));
}

/** Let the mouse, a finger or the keys move the cursor. */
function follow(part, group, box) {
  let at = [Math.floor(part.height / 2), Math.floor(part.width / 2)];
  const show = (place) => {
    at = place;
    const [row, column] = at, map = hiddenMap();
    if (map) tellHidden(box, part, map, row, column);
    else tell(box, part, `row ${row}, column ${column}`, entriesAt(part, row, column));
    for (const marker of group.querySelectorAll(".marker")) {
      marker.hidden = false;
      Object.assign(marker.style, {
        left: `${100 * column / part.width}%`, top: `${100 * row / part.height}%`,
        width: `${100 / part.width}%`, height: `${100 / part.height}%`,
      });
    }
  };
  group.addEventListener("pointermove", (event) => {
    const canvas = event.target.closest(".frame")?.querySelector("canvas");
    if (!canvas) return;
    const seen = canvas.getBoundingClientRect();
    const place = (value, start, size, count) =>
      Math.max(0, Math.min(count - 1, Math.floor((value - start) / size * count)));
    show([place(event.clientY, seen.top, seen.height, part.height),
      place(event.clientX, seen.left, seen.width, part.width)]);
  });
  group.addEventListener("pointerdown", (event) => group.dispatchEvent(
    new PointerEvent("pointermove", event)));
  group.addEventListener("keydown", (event) => {
    const place = moves(event, at, [part.height, part.width]);
    if (place) show(place);
  });
}
