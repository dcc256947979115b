"""Sound files that are no models: maps, tables, arrays and pictures, as small as can be."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
import onnx.parser

import onnxlin
from tests.fuzz import subjects

# What files hold an x of; three outputs, so that there are rows and classes.
NET = """<ir_version: 8, opset_import: ["": 17]> net (float[1,4] x) => (float[1,3] y)
<float[4,3] w = {1,-2,3,4,-5,6,7,8,-9,1,2,3}, float[3] c = {1,0,-1}>
{ h = MatMul(x, w) z = Add(h, c) y = Relu(z) }"""
PICTURED = """<ir_version: 8, opset_import: ["": 17]> net (float[1,3,4,4] x) => (float[1,3,1,1] y)
{ z = Relu(x) y = GlobalAveragePool(z) }"""
TABLE = "a,b,c,d\n1,2,3,4\n-1,0.5,1e3,7\n"
X = np.array([[1, -2, 3, 0.5]], np.float32)


@lru_cache(maxsize=2)
def net(*, pictured: bool) -> bytes:
    """The model that a file is an x of."""
    made: bytes = onnx.parser.parse_model(PICTURED if pictured else NET).SerializeToString()
    return made


def lay(folder: Path) -> None:
    """Write them into the folder of the subjects."""
    inside = folder / "files"
    inside.mkdir(parents=True, exist_ok=True)
    onnxlin.linearize(net(pictured=False), X).save(inside / "map.net.npz")
    onnxlin.linearize(net(pictured=False), X, rows=[[1, -1, 0]]).save(inside / "map.mixed.npz")
    for name in ("conv1d", "two_in_two_out", "local_function"):
        if name in subjects.names(folder):
            one = subjects.subject(folder, name)
            onnxlin.linearize(one.model, one.x).save(inside / f"map.{name}.npz")
    np.save(inside / "x.npy", X)
    np.savez(inside / "x.npz", x=X, labels=np.array([1]))
    (inside / "x.csv").write_text(TABLE)
    (inside / "x.tsv").write_text(TABLE.replace(",", "\t"))
    (inside / "labels.txt").write_text("1\n2\n")
    for ending, data in pictures().items():
        (inside / f"x{ending}").write_bytes(data)


def pictures() -> dict[str, bytes]:
    """The same picture in each format, where Pillow is installed."""
    try:
        from PIL import Image
    except ImportError:
        return {}
    image = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    found = {}
    for ending, form in (
        (".png", "PNG"),
        (".jpg", "JPEG"),
        (".bmp", "BMP"),
        (".gif", "GIF"),
        (".tif", "TIFF"),
    ):
        stream = io.BytesIO()
        image.save(stream, form)
        found[ending] = stream.getvalue()
    return found


@lru_cache(maxsize=4)
def named(folder: Path, *, maps: bool) -> tuple[Path, ...]:
    """Files of one kind."""
    found = sorted((folder / "files").iterdir())
    return tuple(path for path in found if path.name.startswith("map.") == maps)
