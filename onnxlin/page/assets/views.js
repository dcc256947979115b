// What shows the inputs, and the controls that pages share.

const VIEWS = {picture: pictureView, series: seriesView, tokens: tokensView};

function drawViews() {
  LINES.length = 0;
  const drawn = PARTS.filter((part) => part.kind in VIEWS && !part.drawn).map((part) => {
    const view = VIEWS[part.kind](part);
    return PARTS.length > 1 ? el("div", {}, el("h3", {}, part.tensor), view) : view;
  });
  $("input").hidden = !drawn.length;
  $("views").replaceChildren(...drawn);
  redrawLines();
}

function option(value, text) {
  return el("option", {value}, text);
}

/** Channels and blur: they change what is drawn, and nothing that is computed. */
function pictureControls() {
  const channels = Math.max(0, ...PARTS.map((p) => (p.kind === "picture" ? p.channels : 0)));
  $("channels").hidden = channels < 2;
  $("channel").replaceChildren(option(-1, "all, added up"),
    ...Array.from({length: channels}, (_, c) => option(c, String(c))));
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

function failed(error) {
  $("failure").hidden = false;
  $("failure").textContent = `This browser cannot draw the page (${error.message ?? error}). It needs `
    + NEEDS;
  throw error;
}
