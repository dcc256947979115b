// Putting it together: the controls, and what is drawn again when they change.

const NEEDS = "DecompressionStream: Chrome 80, Firefox 113, Safari 16.4 or newer.";

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

function fillAgainst() {
  const others = DOC.places.map((_, k) => k).filter((k) => k !== state.a);
  $("b").replaceChildren(option(-1, "none"), ...others.map((k) => option(k, className(k))));
  $("b").value = state.b;
}

function controls() {
  $("a").replaceChildren(...DOC.places.map((_, k) => option(k, className(k))));
  $("a").addEventListener("change", () => {
    const a = Number($("a").value);
    choose(a, state.b === a ? -1 : state.b);
  });
  $("b").addEventListener("change", () => choose(state.a, Number($("b").value)));
  pictureControls();
  hiddenControls();
}

async function start() {
  drawHead();
  await load();
  await loadFlips();
  totals();
  $("main").hidden = false;
  drawAbout();
  if (DOC.places.length) {
    controls();
    choose(...(DOC.open ?? [0, -1]));
    drawFlips();
    drawRegion();
    drawNodes();
  } else {
    const about = ["input", "depths", "contributions", "ledger", "flips", "region", "nodes"];
    for (const id of about) $(id).hidden = true;
    drawRows();
  }
}

start().catch(failed).finally(() => { document.documentElement.dataset.ready = "yes"; });
