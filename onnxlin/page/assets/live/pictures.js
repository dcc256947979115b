// The editor of a picture: a canvas to draw on, a file, the camera.

function paintEditor(part) {
  const context = part.canvas.getContext("2d"), found = [0, 0, 0];
  const image = context.createImageData(part.width, part.height), colour = asSeen(part);
  for (let pixel = 0; pixel < part.width * part.height; pixel++) {
    colour(pixel, found);
    for (let i = 0; i < 3; i++) image.data[4 * pixel + i] = found[i];
    image.data[4 * pixel + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** What the brush leaves: [red, green, blue], or one grey. */
function brushColour(part) {
  if (part.erasing.checked) return Array(part.depth).fill(0);
  if (part.depth === 1) return [Number(part.ink.value)];
  return [1, 3, 5].map((at) => parseInt(part.ink.value.slice(at, at + 2), 16));
}

function pictureEditor(part) {
  Object.assign(part, {edited: true, brush: Math.max(1.5, part.width / 14)});
  part.canvas = el("canvas", {width: part.width, height: part.height, role: "img",
    "aria-label": `the input ${part.tensor}, to draw on`});
  const marker = el("div", {class: "marker", hidden: true});
  const frame = el("div", {class: `frame draw${part.width >= 128 ? " photo" : ""}`,
    style: {aspectRatio: `${part.width} / ${part.height}`}}, part.canvas, marker);
  const group = el("div", {class: "pad", tabindex: 0, role: "application",
    "aria-roledescription": "drawing pad", "aria-label": `Drawing pad of ${part.tensor}. Arrow keys `
      + "move the brush, Space draws, Delete erases, Control Z takes back."}, frame);
  drawOn(part, group, marker);
  paintEditor(part);
  return el("div", {class: "editor"}, group, pictureTools(part));
}

function pictureTools(part) {
  part.ink = part.depth === 1
    ? el("input", {type: "range", min: 0, max: 255, value: 255, id: `ink-${part.start}`})
    : el("input", {type: "color", value: "#ffffff", id: `ink-${part.start}`});
  part.erasing = el("input", {type: "checkbox", id: `erase-${part.start}`});
  const size = el("input", {type: "range", min: 1, max: Math.max(4, Math.round(part.width / 5)),
    step: 0.5, value: part.brush, oninput: () => { part.brush = Number(size.value); }});
  const note = el("p", {class: "quiet", role: "status"});
  const opened = (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) openPicture(part, file, note);
  };
  const button = (text, act) => el("button", {type: "button", onclick: act}, text);
  return el("div", {class: "tools"},
    el("label", {}, part.depth === 1 ? "Brush, black to white " : "Brush colour ", part.ink),
    el("label", {}, "Brush size ", size),
    el("label", {class: "check"}, part.erasing, " erase"),
    el("div", {class: "buttons"}, button("Clear", () => fillPicture(part, Array(part.depth).fill(0))),
      button("Undo", () => undo(part))),
    el("label", {}, "Open a picture ", el("input", {type: "file", accept: "image/*",
      class: "open", onchange: opened})),
    el("label", {}, "Camera ", el("input", {type: "file", accept: "image/*", capture: "environment",
      class: "camera", onchange: opened})),
    note);
}

async function openPicture(part, file, note) {
  try {
    const image = await decoded(file);
    await putPicture(part, prepared(image, part.scaling, part.width, part.height));
    note.textContent = `${file.name}: ${image.width} × ${image.height} to ${part.width} × `
      + `${part.height}` + (part.scaling.told ? "" : "; pixels of 0 to 255 were put where the first "
      + "input's entries lie, as it came without a picture");
  } catch (error) {
    note.textContent = `${file.name} could not be opened: ${error.message}.`;
  }
}

/** Mouse, finger, pen and keys. */
function drawOn(part, group, marker) {
  let at = [Math.floor(part.height / 2), Math.floor(part.width / 2)];
  const place = (event) => {
    const seen = part.canvas.getBoundingClientRect();
    return [(event.clientX - seen.left) / seen.width * part.width,
      (event.clientY - seen.top) / seen.height * part.height];
  };
  const draw = (event) => {
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length ? all : [event]) strokeTo(part, ...place(one), brushColour(part));
    paintEditor(part);
    changed();
  };
  group.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.target.closest(".draw")) return;
    event.preventDefault();
    group.focus({preventScroll: true});
    group.setPointerCapture(event.pointerId);
    beginStroke(part);
    draw(event);
  });
  group.addEventListener("pointermove", (event) => {
    if (part.stroke && group.hasPointerCapture(event.pointerId)) draw(event);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    group.addEventListener(kind, () => { part.stroke = null; });
  }
  group.addEventListener("keydown", (event) => {
    const erase = event.key === "Delete" || event.key === "Backspace";
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo(part);
    else if (erase || event.key === " " || event.key === "Enter") {
      beginStroke(part);
      const colour = erase ? Array(part.depth).fill(0) : brushColour(part);
      strokeTo(part, at[1] + 0.5, at[0] + 0.5, colour);
      part.stroke = null;
      paintEditor(part);
      changed();
    } else {
      const next = moves(event, at, [part.height, part.width]);
      if (!next) return;
      at = next;
    }
    event.preventDefault();
    marker.hidden = false;
    Object.assign(marker.style, {left: `${100 * at[1] / part.width}%`, top: `${100 * at[0] / part.height}%`,
      width: `${100 / part.width}%`, height: `${100 / part.height}%`});
  });
}
