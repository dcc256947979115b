// Pictures brought to a model's size as onnxlin.inputs does it, which is as Pillow does it: filters
// that widen where a picture shrinks, whole numbers between the passes.

const FIXED = 2 ** 22;
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
const cubic = (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2
  ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0);
const FILTERS = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  hamming: [1, (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)))],
  bicubic: [2, (x) => cubic(Math.abs(x))],
  lanczos: [3, (x) => (Math.abs(x) >= 3 ? 0 : sinc(x) * sinc(x / 3))],
};

/** Weights of every new place: [first old place, whole numbers that add up to about 2^22]. */
function weightsOf(count, from, to, made, [reach, filter]) {
  const scale = (to - from) / made, wide = Math.max(scale, 1), support = reach * wide;
  return Array.from({length: made}, (_, at) => {
    const centre = from + (at + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - support + 0.5));
    const high = Math.min(count, Math.trunc(centre + support + 0.5));
    const each = Array.from({length: high - low}, (_, i) => filter((i + low - centre + 0.5) / wide));
    const total = each.reduce((sum, value) => sum + value, 0) || 1;
    return [low, each.map((value) => Math.sign(value) * Math.floor(Math.abs(value) / total * FIXED + 0.5))];
  });
}

/** One pass along rows (stride 1) or columns of a {width, height, depth, data}. */
function pass(image, weights, along) {
  const {width, height, depth, data} = image, made = weights.length;
  const size = along ? [made, height] : [width, made];
  const found = new Uint8ClampedArray(size[0] * size[1] * depth);
  const stride = along ? depth : width * depth;
  for (let row = 0; row < size[1]; row++) {
    for (let column = 0; column < size[0]; column++) {
      const [low, each] = weights[along ? column : row];
      const start = along ? (row * width + low) * depth : (low * width + column) * depth;
      for (let c = 0; c < depth; c++) {
        let sum = FIXED / 2;
        for (let i = 0; i < each.length; i++) sum += each[i] * data[start + i * stride + c];
        found[(row * size[0] + column) * depth + c] = Math.floor(sum / FIXED);
      }
    }
  }
  return {width: size[0], height: size[1], depth, data: found};
}

/** Bring the part [left, top, right, bottom] of a picture to a width and height. */
function resized(image, width, height, how, box = [0, 0, image.width, image.height]) {
  if (how === "nearest") return nearest(image, width, height, box);
  const [left, top, right, bottom] = box;
  let found = image;
  if (width !== image.width || left || right !== image.width) {
    found = pass(found, weightsOf(image.width, left, right, width, FILTERS[how]), true);
  }
  if (height !== image.height || top || bottom !== image.height) {
    found = pass(found, weightsOf(image.height, top, bottom, height, FILTERS[how]), false);
  }
  return found;
}

/** Nearest old places; Pillow adds step to step, whose roundings decide at halves. */
function stepsFrom(start, step, count) {
  const found = [];
  for (let i = 0, at = start + step * 0.5; i < count; i++, at += step) found.push(Math.floor(at));
  return found;
}

function nearest(image, width, height, [left, top, right, bottom]) {
  const found = new Uint8ClampedArray(width * height * image.depth);
  const down = stepsFrom(top, (bottom - top) / height, height);
  const across = stepsFrom(left, (right - left) / width, width);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const from = (down[row] * image.width + across[column]) * image.depth;
      found.set(image.data.subarray(from, from + image.depth), (row * width + column) * image.depth);
    }
  }
  return {width, height, depth: image.depth, data: found};
}

/** Stretch, or cover and cut the centre. */
function brought(image, width, height, {resize, resample}) {
  if (image.width === width && image.height === height) return image;
  if (resize === "none") {
    throw new Error(`the picture is ${image.width} × ${image.height}, and the model takes ${width} × `
      + `${height} and nothing else (resize: none)`);
  }
  if (resize === "fit") return resized(image, width, height, resample);
  const own = image.width / image.height, asked = width / height;
  const wide = own > asked ? asked * image.height : image.width;
  const tall = own < asked ? image.width / asked : image.height;
  const left = (image.width - wide) / 2, top = (image.height - tall) / 2;
  return resized(image, width, height, resample, [left, top, left + wide, top + tall]);
}

function cut(image, width, height) {
  const left = Math.floor((image.width - width) / 2), top = Math.floor((image.height - height) / 2);
  if (Math.min(left, top) < 0) throw new Error("the picture is smaller than what is to be cut of it");
  const box = [left, top, left + width, top + height];
  return nearest(image, width, height, box);
}

/** All that preprocessing says of the size, then the model's own. */
function prepared(image, how, width, height) {
  let found = image;
  if (how.edge !== null) {
    const short = Math.min(image.width, image.height);
    const side = (n) => Math.floor(n * how.edge / short);
    found = resized(found, side(image.width), side(image.height), how.resample);
  }
  if (how.size !== null) {
    const [tall, wide] = how.size;
    found = how.edge === null && how.resize !== "none" ? brought(found, wide, tall, how)
      : cut(found, wide, tall);
  }
  return brought(found, width, height, how);
}

/** Read a picture file as {width, height, depth: 3, data}, the right way up, over white. */
async function decoded(file) {
  const kept = await createImageBitmap(file, {colorSpaceConversion: "none", premultiplyAlpha: "none"});
  const canvas = el("canvas", {width: kept.width, height: kept.height});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.fillStyle = "#fff";
  context.fillRect(0, 0, kept.width, kept.height);
  context.drawImage(kept, 0, 0);
  const {width, height} = kept, {data} = context.getImageData(0, 0, width, height);
  kept.close();
  const found = new Uint8ClampedArray(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) found[3 * i + c] = data[4 * i + c];
  }
  return {width, height, depth: 3, data: found};
}

/** Grey as Pillow makes it of red, green and blue. */
const greyOf = (r, g, b) => (r * 19595 + g * 38470 + b * 7471 + 32768) >> 16;
