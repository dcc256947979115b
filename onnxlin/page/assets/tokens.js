// Tokens: text, each token coloured by the sum of its embedding's contributions.

const tokenEntries = (part, at) => {
  const size = part.x.length / part.names.length;
  return Array.from({length: size}, (_, i) => at * size + i);
};

const tokenValue = (part, one, at) =>
  tokenEntries(part, at).reduce((sum, i) => sum + valueAt(part, one, i), 0);

/** Draw a part of kind "tokens". */
function tokensView(part) {
  const one = chosen();
  const values = part.names.map((_, at) => tokenValue(part, one, at));
  const limit = Math.max(...values.map(Math.abs)) || 1;
  const box = readout(part);
  const words = part.names.map((name, at) => {
    const colour = ramp(values[at] / limit);
    return el("span", {class: "token", id: `token-${part.start}-${at}`, "data-at": at,
      style: {background: css(colour), color: dark(colour) ? "#fff" : "#111"}},
    name === "" ? "␣" : name);
  });
  const group = el("div", {class: "tokens", tabindex: 0, role: "application",
    "aria-roledescription": "coloured text", "aria-describedby": box.id,
    "aria-label": `${part.names.join(" ")}. Arrow keys go from token to token.`}, ...words);
  followTokens(part, group, words, box);
  return el("div", {class: "view text", "data-tensor": part.tensor}, group, box,
    legend(limit, false));
}

function followTokens(part, group, words, box) {
  let at = -1;
  const show = (place) => {
    words[at]?.classList.remove("here");
    at = place;
    words[at].classList.add("here");
    tell(box, part, `token ${at}: ${part.names[at]}`, tokenEntries(part, at));
  };
  group.addEventListener("pointermove", (event) => {
    const word = event.target.closest(".token");
    if (word) show(Number(word.dataset.at));
  });
  group.addEventListener("keydown", (event) => {
    // Down and up go on and back as well: lines break where the window ends.
    const turned = {ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft"}[event.key] ?? event.key;
    const place = moves({key: turned, shiftKey: event.shiftKey,
      preventDefault: () => event.preventDefault()}, [0, at], [1, words.length]);
    if (place) show(place[1]);
  });
}
