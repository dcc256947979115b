"""Judge maps from hidden tensors on photos: python docs/readings/hidden.py MODEL PHOTO...

Of a net that takes 224 x 224 pixels of ImageNet as BGR less their means, as SqueezeNet from Caffe
does. Photos are resized to 256 on the shorter side and cropped.
"""

import argparse

import numpy as np
from PIL import Image

import onnxlin
from onnxlin.readings import Question, deletion, hidden_maps, insertion

SIDE, SHORTER, MEANS, PATCH, STEPS = 224, 256, (104, 117, 123), 16, 20


def pixels(path: str) -> np.ndarray:
    """Read a photo: (1, 3, 224, 224)."""
    photo = Image.open(path).convert("RGB")
    scale = SHORTER / min(photo.size)
    size = round(photo.width * scale), round(photo.height * scale)
    x = np.asarray(photo.resize(size, Image.Resampling.BILINEAR), np.float32)
    top, left = ((length - SIDE) // 2 for length in x.shape[:2])
    x = x[top : top + SIDE, left : left + SIDE, ::-1] - np.float32(MEANS)
    return x.transpose(2, 0, 1)[None]


def judged(lin: onnxlin.Linearizer, path: str, seed: int) -> dict[str, list[float]]:
    """Deletion and insertion of each map of the strongest output; x0 = 0, then blurred."""
    x = pixels(path)
    top = int(np.argmax(np.ravel(next(iter(lin.run(x).values())))))
    q = Question(lin, x, top)
    plane = q.m.contributions[0].reshape(3, SIDE, SIDE).sum(axis=0)
    patches = plane.reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH).sum(axis=(1, 3))
    (last,) = hidden_maps(q.m, tensors="last")
    maps = {
        "W x": plane,
        f"W x in patches of {PATCH} x {PATCH}": np.kron(patches, np.ones((PATCH, PATCH))),
        f"last, {last.tensor}, {last.grid[0]} x {last.grid[1]}": last.over(SIDE, SIDE)[0],
        "random": np.random.default_rng(seed).normal(size=(SIDE, SIDE)),
    }
    # Of a pixel its channels are added up.
    each = {name: np.broadcast_to(one / 3, (3, SIDE, SIDE)).ravel() for name, one in maps.items()}
    return {
        name: [
            curve(q, values, baseline=x0, steps=STEPS).relative
            for x0 in ("zero", "blur")
            for curve in (deletion, insertion)
        ]
        for name, values in each.items()
    }


if __name__ == "__main__":
    reader = argparse.ArgumentParser()
    reader.add_argument("model")
    reader.add_argument("photos", nargs="+")
    reader.add_argument("--outputs", help="the logits, before the softmax")
    asked = reader.parse_args()
    lin = onnxlin.Linearizer(asked.model, outputs=asked.outputs)
    found = [judged(lin, path, seed) for seed, path in enumerate(asked.photos)]
    print(
        "deletion, insertion; deletion, insertion with a blurred x0; photos where better than W x"
    )
    for name in found[0]:
        values = np.array([one[name] for one in found])
        better = values - np.array([one["W x"] for one in found])
        wins = ((better * [1, -1, 1, -1]) < 0).sum(axis=0)
        print(f"{name:34}", *(f"{v:.2f}" for v in values.mean(axis=0)), *wins)
