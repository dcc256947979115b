// Series: every channel a line, each piece in the colour of its own entry.

// Drawn again when the window, the colour scheme or the medium changes.
const LINES = [];
const redrawLines = () => LINES.forEach(drawSeries);

window.addEventListener("resize", redrawLines);
for (const asked of ["(prefers-color-scheme: dark)", "print"]) {
  matchMedia(asked).addEventListener("change", redrawLines);
}

const CHANNEL_HEIGHT = 120, PAD = {left: 54, right: 12, top: 10, bottom: 22};

const seriesEntry = (part, channel, time) =>
  part.last ? time * part.channels + channel : channel * part.time + time;

/** Draw a part of kind "series". */
function seriesView(part) {
  const one = chosen();
  const values = Float64Array.from(part.x, (_, i) => valueAt(part, one, i));
  const limit = limitOf(values), past = values.some((value) => Math.abs(value) > limit);
  const canvas = el("canvas", {role: "img", class: "line",
    "aria-label": `${part.tensor} as a line coloured by ${DOC.what} of ${one.name}`});
  const box = readout(part);
  const group = el("div", {class: "lines", tabindex: 0, role: "application",
    "aria-roledescription": "series", "aria-describedby": box.id,
    "aria-label": `Series ${part.tensor}. Left and right go through time, up and down to another `
      + "channel. The strongest entries stand in the table of contributions."}, canvas);
  const chart = {part, values, limit, canvas, group, at: null};
  followSeries(chart, box);
  LINES.push(chart);
  return el("div", {class: "view series", "data-tensor": part.tensor}, group, box,
    legend(limit, past));
}

/** Where time and value of a channel lie on the canvas. */
function scales(chart, channel, width) {
  const {part} = chart;
  const line = Array.from({length: part.time}, (_, t) => part.x[seriesEntry(part, channel, t)]);
  const [low, high] = part.range?.[channel] ?? [Math.min(...line), Math.max(...line)];
  const room = high - low || 1;
  const top = channel * CHANNEL_HEIGHT + PAD.top;
  const tall = CHANNEL_HEIGHT - PAD.top - PAD.bottom;
  const wide = width - PAD.left - PAD.right;
  return {line, low, high, top, tall,
    across: (t) => PAD.left + (part.time > 1 ? t / (part.time - 1) : 0.5) * wide,
    down: (value) => top + (1 - (value - low) / room) * tall};
}

function drawSeries(chart) {
  const {part, canvas, group} = chart;
  const width = group.clientWidth, height = part.channels * CHANNEL_HEIGHT;
  const fine = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * fine);
  canvas.height = Math.round(height * fine);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(fine, fine);
  const look = getComputedStyle(document.body);
  const ink = look.getPropertyValue("--ink"), quiet = look.getPropertyValue("--line");
  for (let channel = 0; channel < part.channels; channel++) {
    const at = scales(chart, channel, width);
    axes(context, chart, channel, at, width, ink, quiet);
    stroke(context, chart, channel, at);
  }
  if (chart.at) cursor(context, chart, width, ink);
}

function axes(context, {part}, channel, at, width, ink, quiet) {
  context.strokeStyle = quiet;
  context.fillStyle = ink;
  context.font = "12px system-ui, sans-serif";
  context.lineWidth = 1;
  for (const value of [at.low, at.high]) {
    const y = Math.round(at.down(value)) + 0.5;
    context.beginPath();
    context.moveTo(PAD.left, y);
    context.lineTo(width - PAD.right, y);
    context.stroke();
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.fillText(num(value, 3), PAD.left - 6, y);
  }
  context.textBaseline = "top";
  context.textAlign = "left";
  const below = at.top + at.tall + 6;
  context.fillText(part.channels > 1 ? `channel ${channel}, position 0` : "position 0",
    PAD.left, below);
  context.textAlign = "right";
  context.fillText(String(part.time - 1), width - PAD.right, below);
}

/** The line: grey below, so that it is seen where contributions are near 0, that is white. */
function stroke(context, {part, values, limit}, channel, at) {
  const points = at.line.map((value, t) => [at.across(t), at.down(value)]);
  const middle = (p, q) => [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
  context.lineJoin = context.lineCap = "round";
  const run = (style, thick, list) => {
    context.strokeStyle = style;
    context.lineWidth = thick;
    context.beginPath();
    list.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
  };
  run("#8a8a8a", 4.6, points);
  points.forEach((point, t) => {
    const before = t ? middle(points[t - 1], point) : point;
    const after = t + 1 < points.length ? middle(point, points[t + 1]) : point;
    run(css(ramp(values[seriesEntry(part, channel, t)] / limit)), 3.2, [before, point, after]);
  });
}

function cursor(context, chart, width, ink) {
  const [channel, time] = chart.at, at = scales(chart, channel, width);
  context.strokeStyle = ink;
  context.lineWidth = 1.5;
  context.beginPath();
  context.arc(at.across(time), at.down(at.line[time]), 5, 0, 2 * Math.PI);
  context.stroke();
}

function followSeries(chart, box) {
  const {part, group, canvas} = chart;
  const show = (place) => {
    chart.at = place;
    const [channel, time] = place;
    const name = part.channels > 1 ? `channel ${channel}, position ${time}` : `position ${time}`;
    tell(box, part, name, [seriesEntry(part, channel, time)]);
    drawSeries(chart);
  };
  group.addEventListener("pointermove", (event) => {
    const seen = canvas.getBoundingClientRect();
    const wide = seen.width - PAD.left - PAD.right;
    const inside = (value, count) => Math.max(0, Math.min(count - 1, value));
    show([inside(Math.floor((event.clientY - seen.top) / CHANNEL_HEIGHT), part.channels),
      inside(Math.round((event.clientX - seen.left - PAD.left) / wide * (part.time - 1)),
        part.time)]);
  });
  group.addEventListener("keydown", (event) => {
    const place = moves(event, chart.at ?? [0, -1], [part.channels, part.time]);
    if (place) show(place);
  });
}
