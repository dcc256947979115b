// The editor of a series: its coloured line is drawn on.

function seriesEditor(part) {
  part.drawn = true;
  part.range = Array.from({length: part.channels}, (_, channel) => {
    const line = Array.from({length: part.time}, (_, t) => part.x[seriesEntry(part, channel, t)]);
    const low = Math.min(...line), high = Math.max(...line), room = (high - low || 1) / 4;
    return [low - room, high + room];
  });
  const canvas = el("canvas", {role: "img", class: "line",
    "aria-label": `${part.tensor} as a line to draw on, coloured by ${DOC.what}`});
  const group = el("div", {class: "lines draw", tabindex: 0, role: "application",
    "aria-roledescription": "series to draw", "aria-label": `Series ${part.tensor}. Draw on it, or: `
      + "left and right go through time, up and down to another channel, plus and minus change the "
      + "value."}, canvas);
  const box = readout(part), colours = el("div", {});
  const chart = {part, values: new Float64Array(part.x.length), limit: 1, canvas, group, at: null};
  drawLine(chart);
  part.follow = () => {
    const one = chosen();
    chart.values = Float64Array.from(part.x, (_, i) => valueAt(part, one, i));
    chart.limit = limitOf(chart.values);
    colours.replaceChildren(legend(chart.limit, chart.values.some((v) => Math.abs(v) > chart.limit)));
    LINES.push(chart);
    drawSeries(chart);
    if (chart.at) told(chart, box);
  };
  return el("div", {class: "editor series"}, group, box, colours);
}

function told({part, at: [channel, time]}, box) {
  const name = part.channels > 1 ? `channel ${channel}, position ${time}` : `position ${time}`;
  tell(box, part, name, [seriesEntry(part, channel, time)]);
}

function putEntry(part, channel, time, value) {
  LIVE.feeds[part.tensor][seriesEntry(part, channel, time)] = value;
}

function drawLine(chart) {
  const {part, group, canvas} = chart;
  let last = null;
  const place = (event) => {
    const seen = canvas.getBoundingClientRect(), tall = CHANNEL_HEIGHT - PAD.top - PAD.bottom;
    const within = (value, count) => Math.max(0, Math.min(count - 1, value));
    const channel = last?.channel
      ?? within(Math.floor((event.clientY - seen.top) / CHANNEL_HEIGHT), part.channels);
    const wide = seen.width - PAD.left - PAD.right, [low, high] = part.range[channel];
    const time = within(Math.round((event.clientX - seen.left - PAD.left) / wide * (part.time - 1)),
      part.time);
    const down = (event.clientY - seen.top - channel * CHANNEL_HEIGHT - PAD.top) / tall;
    return {channel, time, value: low + (1 - Math.max(0, Math.min(1, down))) * (high - low)};
  };
  const draw = (event) => {
    const to = place(event), from = last ?? to, count = Math.abs(to.time - from.time);
    for (let i = 0; i <= count; i++) {
      const share_ = count ? i / count : 1;
      putEntry(part, to.channel, Math.round(from.time + share_ * (to.time - from.time)),
        from.value + share_ * (to.value - from.value));
    }
    last = to;
    chart.at = [to.channel, to.time];
    changed();
  };
  group.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    group.focus({preventScroll: true});
    group.setPointerCapture(event.pointerId);
    draw(event);
  });
  group.addEventListener("pointermove", (event) => { if (last) draw(event); });
  for (const kind of ["pointerup", "pointercancel"]) group.addEventListener(kind, () => { last = null; });
  group.addEventListener("keydown", (event) => keyOn(chart, event));
}

function keyOn(chart, event) {
  const {part} = chart, sign = {"+": 1, "=": 1, "-": -1}[event.key];
  if (sign && chart.at) {
    const [channel, time] = chart.at, [low, high] = part.range[channel];
    const value = Number(LIVE.feeds[part.tensor][seriesEntry(part, channel, time)]);
    putEntry(part, channel, time, Math.max(low, Math.min(high, value + sign * (high - low) / 40)));
    changed();
    event.preventDefault();
    return;
  }
  const next = moves(event, chart.at ?? [0, -1], [part.channels, part.time]);
  if (!next) return;
  chart.at = next;
  part.follow();
}
