// What flips the decision: the nearest other input that a search found, and the change.

async function loadFlips() {
  for (const one of DOC.flips?.parts ?? []) {
    one.change = await unpack(one.change);
    if (one.pixels) one.pixels = await unpack(one.pixels);
  }
}

function drawFlips() {
  const found = DOC.flips;
  $("flips").hidden = !found;
  if (!found) return;
  if (found.why_not) {
    $("flipped").replaceChildren(el("p", {}, `Nothing: ${found.why_not}.`));
    return;
  }
  const [from, to] = found.names.map(labelOf);
  const [before, rival] = found.at_x, [after, other] = found.there;
  const outside = found.outside ? ` ${whole(found.outside)} of its numbers lie beyond the smallest or the `
    + "largest of x: the model was asked, not what inputs mean." : "";
  $("flipped").replaceChildren(
    el("p", {}, "At a distance of ", el("b", {}, num(found.distance)), ` (${NORMS[found.norm]}`
      + (found.of_x === null ? "" : `, ${share(found.of_x)} of x`) + ") the model says ",
    el("b", {}, to), `, not ${from}. This is the nearest input that a search found, proved by a run of the `
      + `model (${to} is ahead there by ${bare(other - after)}); a nearer one may exist. ${whole(found.changed)} of ${whole(found.features)} numbers `
      + `change.${outside}`),
    table("F(x), and F where it flips", ["output", "at x", "there"],
      [[from, num(before), num(after)], [to, num(rival), num(other)]]),
    ...flipViews(found));
}

/** The change as a picture, or as a list. */
function flipViews(found) {
  const views = PARTS.map((part, i) => [part, found.parts[i]])
    .filter(([part]) => part.kind === "picture").map(([part, own]) => flipPicture(part, own));
  if (views.length === PARTS.length) return views;
  const tokens = found.strongest.some((one) => one.x === undefined);
  return [...views, table(tokens ? "Tokens whose vectors change most (no token has such a vector)"
    : "What changes most", ["", "x", "there", "change"],
  found.strongest.map((one) => one.x === undefined ? [one.name, "", "", num(one.size)]
    : [one.name, num(one.x), num(one.there), signed(one.there - one.x)]))];
}

function flipPicture(part, own) {
  const moved = new Float64Array(part.height * part.width);
  for (let row = 0; row < part.height; row++) {
    for (let column = 0; column < part.width; column++) {
      for (let channel = 0; channel < part.channels; channel++) {
        moved[row * part.width + column] += own.change[entry(part, channel, row, column)];
      }
    }
  }
  const limit = limitOf(moved), past = moved.some((value) => Math.abs(value) > limit);
  const there = {...part, seen: own.pixels};
  const summed = part.channels > 1 ? ", channels added up" : "";
  const figures = [panel(part, asSeen(part), "the input", "x"),
    ...(own.pixels ? [panel(part, asSeen(there), "where it flips",
      `where it flips${own.cut ? `, cut off at ${part.depth < 3 ? "black and white" : "0 and 255"}` : ""}`)] : []),
    panel(part, heatMap(part, moved, limit), "heat map of the change", `the change${summed}`)];
  return el("div", {class: "view", "data-tensor": part.tensor},
    el("div", {class: "panels"}, ...figures), ramps(limit, past,
      "blue: less than at x, red: more"));
}
