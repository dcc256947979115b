// Putting it together: the controls, and what is drawn again when they change.

const VIEWS = {picture: pictureView, series: seriesView, tokens: tokensView};

function drawViews() {
  LINES.length = 0;
  const drawn = PARTS.filter((part) => part.kind in VIEWS).map((part) => {
    const view = VIEWS[part.kind](part);
    return PARTS.length > 1 ? el("div", {}, el("h3", {}, part.tensor), view) : view;
  });
  $("input").hidden = !drawn.length;
  $("views").replaceChildren(...drawn);
  redrawLines();
}

/** Choose outputs, by their place among those on the page, and redraw. */
function choose(a, b) {
  Object.assign(state, {a, b});
  $("a").value = a;
  fillAgainst();
  $("b").value = b;
  redraw();
}

function redraw() {
  drawViews();
  drawDepths();
  drawFeatures();
  drawLedger();
  drawRows();
}

function option(value, text) {
  return el("option", {value}, text);
}

function fillAgainst() {
  const others = DOC.places.map((_, k) => k).filter((k) => k !== state.a);
  $("b").replaceChildren(option(-1, "none"), ...others.map((k) => option(k, className(k))));
  $("b").value = state.b;
}

function controls() {
  $("a").replaceChildren(...DOC.places.map((_, k) => option(k, className(k))));
  const channels = Math.max(0, ...PARTS.map((p) => (p.kind === "picture" ? p.channels : 0)));
  $("channels").hidden = channels < 2;
  $("channel").replaceChildren(option(-1, "all, added up"),
    ...Array.from({length: channels}, (_, c) => option(c, String(c))));
  $("a").addEventListener("change", () => {
    const a = Number($("a").value);
    choose(a, state.b === a ? -1 : state.b);
  });
  $("b").addEventListener("change", () => choose(state.a, Number($("b").value)));
  $("channel").addEventListener("change", () => {
    state.channel = Number($("channel").value);
    redraw();
  });
  // The few pixels of a digit are seen as they are.
  $("blurs").hidden = !PARTS.some((part) => part.kind === "picture" && part.width >= 64);
  state.blur = DOC.smooth ?? 0;
  const sigmas = [...new Set([1, 2, 4, 8, state.blur])].filter((sigma) => sigma > 0);
  $("blur").replaceChildren(option(0, "off"),
    ...sigmas.sort((p, q) => p - q).map((sigma) => option(sigma, `by ${sigma} px`)));
  $("blur").value = state.blur;
  $("blur").addEventListener("change", () => {
    state.blur = Number($("blur").value);
    drawViews();
  });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("controls").hidden = false;
}

/** W x of every class, added up from what every feature brings. */
function totals() {
  DOC.classes.forEach((one, k) => {
    one.total = PARTS.reduce((sum, part) =>
      part.values[k].reduce((total, value) => total + value, sum), 0);
  });
}

async function start() {
  drawHead();
  await load();
  totals();
  $("main").hidden = false;
  drawAbout();
  if (DOC.places.length) {
    controls();
    choose(...(DOC.open ?? [0, -1]));
    drawRegion();
    drawNodes();
  } else {
    const about = ["input", "depths", "contributions", "ledger", "region", "nodes"];
    for (const id of about) $(id).hidden = true;
    drawRows();
  }
}

function failed(error) {
  $("failure").hidden = false;
  $("failure").textContent = `This browser cannot draw the page (${error.message ?? error}). It needs `
    + "DecompressionStream: Chrome 80, Firefox 113, Safari 16.4 or newer.";
  throw error;
}

start().catch(failed).finally(() => { document.documentElement.dataset.ready = "yes"; });
