"""Across jumps: pieces that tile the way, on each of which the runtime is where its line is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin import Linearizer, RegionError
from onnxlin.primitives import Array
from onnxlin.readings.path import Path, walk
from onnxlin.readings.region import obstacles
from onnxlin.testing import GrownModel, onnx_models
from tests.graphs import EXACT
from tests.longer import LONG
from tests.small import model
from tests.test_patterns import Counts

JUMPS = (
    "QuantizeLinear",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "Cast",
    "Greater",
    "Equal",
    "ArgMax",
    "TopK",
    "OneHot",
    "Mod",
    "Hardmax",
    "ThresholdedRelu",
    "Shrink",
    "NonZero",
    "Unique",
    "And",
    "Not",
    "Gather",
)
AFFINE = ("Add", "Where", "Concat", "Relu", "MaxPool", "ReduceMean", "Sub", "AveragePool", "Max")
# Where on a piece the runtime is asked.
PLACES = (0.1, 0.5, 0.9)
Ends = tuple[dict[str, Array], dict[str, Array]]
SWITCHES = 4
# Why there may be no path.
REASONS = ("has the shape", "is opened into a graph")


def pictures(x: dict[str, Array], seed: int, levels: int) -> tuple[dict[str, Array], ...]:
    """Two inputs of whole levels over 255, zeros among them, some of them equal."""
    rng = np.random.default_rng(seed)
    ends = []
    for _ in range(2):
        whole = {n: rng.integers(-levels, levels + 1, v.shape) for n, v in x.items()}
        ends.append({n: (v / 255).astype(np.float32) for n, v in whole.items()})
    kept = {n: rng.random(v.shape) < 0.3 for n, v in x.items()}
    second = {n: np.where(kept[n], ends[0][n], v) for n, v in ends[1].items()}
    return ends[0], second


def at(x0: dict[str, Array], x1: dict[str, Array], t: float) -> dict[str, Array]:
    """A point of the way, in the model's own numbers."""
    wide = {n: (v.astype(np.float64), x1[n].astype(np.float64)) for n, v in x0.items()}
    return {n: (a + t * (b - a)).astype(x0[n].dtype) for n, (a, b) in wide.items()}


def assert_pieces_are_the_model(
    lin: Linearizer, x0: dict[str, Array], x1: dict[str, Array], path: Path, most: int = 40
) -> float:
    """At several t of every piece F as the runtime has it lies on the piece's line.

    Returns the share of them that the roundings of x leave on that piece.
    """
    assert path.t[0] == 0
    assert path.t[-1] == 1
    assert (np.diff(path.t) > 0).all()
    seen, asked = 0, range(0, len(path), -(-len(path) // most))
    for i in asked:
        for share in PLACES:
            t = path.t[i] + share * (path.t[i + 1] - path.t[i])
            if not told_apart(path, i, t, x0, x1):
                continue
            off = departure(lin, (x0, x1), path, i, share)
            assert not off.any() or flickers(lin, (x0, x1), path, i), (i, t, off)
            seen += 1
    return seen / (len(asked) * len(PLACES))


def departure(lin: Linearizer, ends: Ends, path: Path, i: int, share: float) -> Array:
    """By how much a run misses the line of a piece, 0 where rounding allows it."""
    t = path.t[i] + share * (path.t[i + 1] - path.t[i])
    m = lin(at(*ends, t), dtype=np.float64)
    line = path.left[i] + share * (path.right[i] - path.left[i])
    # The run saw x rounded: F moves by no more than W times that.
    exact = path.ends[0].x + t * (path.ends[1].x - path.ends[0].x)
    allowed = m.bound * m.scale + np.abs(m.W) @ np.abs(m.x - exact)
    # The walk's own numbers are those of float64, between ends that may be larger.
    larger = np.maximum(*(np.abs(end.x) for end in path.ends))
    allowed += 2.0**-50 * np.maximum(np.abs(path.left[i]), np.abs(path.right[i]))
    allowed += 2.0**-50 * (np.abs(m.W) @ larger)
    off: Array = line - m.y
    return np.where(np.abs(off) <= allowed, 0.0, off)


def flickers(lin: Linearizer, ends: Ends, path: Path, i: int) -> bool:
    """Whether the runs on a piece disagree with one another.

    Where what moves adds up to what does not, on the very edge of a step, the runtime's roundings
    put it on one side and on the other from t to t. No line is that. A breakpoint that was missed
    parts a piece once or twice.
    """
    off = [departure(lin, ends, path, i, share).any() for share in np.linspace(0.1, 0.9, 65)]
    return int(np.count_nonzero(np.diff(off))) > SWITCHES


def told_apart(path: Path, i: int, t: float, x0: dict[str, Array], x1: dict[str, Array]) -> bool:
    """Whether t is farther from the ends of its piece than the roundings of x take any entry."""
    blur = 0.0
    for name, first in x0.items():
        size, move = np.maximum(np.abs(first), np.abs(x1[name])), np.abs(x1[name] - first)
        moves = move > 0
        rounding = 2 * float(np.finfo(first.dtype).eps)
        blur = max(blur, float((rounding * size[moves] / move[moves]).max(initial=0)))
    return min(t - path.t[i], path.t[i + 1] - t) > blur


def assert_whole(path: Path) -> None:
    """What F rises on the pieces, and what it jumps, is all that lies between the ends."""
    total = path.ends[1].y - path.ends[0].y
    rises = (path.right - path.left).sum(axis=0)
    size = np.abs(path.left).sum(axis=0) + np.abs(path.right).sum(axis=0)
    allowed = sum(m.bound * m.scale for m in path.ends) + 2.0**-50 * size
    assert (np.abs(rises + path.jump - total) <= allowed).all()


def checked(lin: Linearizer, x0: dict[str, Array], x1: dict[str, Array], counts: Counts) -> None:
    """Walk and hold each piece against the model; count what has no path."""
    try:
        if obstacles(lin(x0)):
            return
        path = walk(lin, x0, x1)
    except (onnxlin.TraceError, onnxlin.UnsupportedNodeError):
        counts.skipped += 1  # where Compress finds another number of entries, shapes clash
        return
    except RegionError as error:
        counts.skipped += 1
        if not any(reason in str(error) for reason in REASONS):
            raise
        return
    counts.used += 1
    assert_pieces_are_the_model(lin, x0, x1, path)
    assert_whole(path)


def test_pieces_between_pictures_across_jumps() -> None:
    counts = Counts()

    @given(
        onnx_models((*JUMPS, *AFFINE), min_nodes=2, max_nodes=5),
        st.integers(0, 999),
        st.sampled_from((255, 12, 600)),
    )
    def law(grown: GrownModel, seed: int, levels: int) -> None:
        checked(Linearizer(grown.model), *pictures(grown.x, seed, levels), counts)

    law()
    counts.assert_mostly_used()


def test_pieces_between_ties() -> None:
    """Both ends full of ties, halves and whole numbers, in graphs of every exact operator."""
    counts = Counts()

    @given(onnx_models(EXACT, min_nodes=2), st.integers(0, 99))
    def law(grown: GrownModel, seed: int) -> None:
        rng = np.random.default_rng(seed)
        x0 = {n: (np.round(2 * v) / 2).astype(v.dtype) for n, v in grown.x.items()}
        x1 = {
            n: (v + rng.integers(-3, 4, v.shape) / np.float32(2)).astype(v.dtype)
            for n, v in x0.items()
        }
        checked(Linearizer(grown.model), x0, x1, counts)

    law()
    counts.assert_mostly_used()


LEVELS = "h = Mul(x, k)"
MODELS = {
    # 255 times what is stored of k / 255 is k, or one rounding beside it.
    "floor": f"""g (float[1,16] x) => (float[1,16] y) <float k = {{255}}> {{
        {LEVELS}  y = Floor(h) }}""",
    "ceil beside x": f"""g (float[1,16] x) => (float[1,16] y) <float k = {{255}}> {{
        {LEVELS}  c = Ceil(h)  y = Sub(c, h) }}""",
    "embedding": f"""g (float[1,16] x) => (float[1,16,2] y) <float k = {{7.5}}, float[8,2] E =
        {{1, -2, 3, 0.5, 7, -1, 0, 2, 4, -4, 1.5, 6, -3, 8, 9, 2.5}}> {{
        {LEVELS}  i = Cast <to=7> (h)  y = Gather(E, i) }}""",
    "steps of powers of two": """g (float[1,16] x) => (float[1,16] y)
        <float s = {0.0078125}, float s2 = {0.015625}, uint8 z = {3}, uint8 z2 = {128}> {
        q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)
        q2 = QuantizeLinear(d, s2, z2)  y = DequantizeLinear(q2, s2, z2) }""",
    "steps of 8-bit levels": """g (float[1,16] x) => (float[1,3] y) <float s = {0.003921569},
        float s2 = {0.05}, int8 z2 = {0}, uint8 z = {0}, float[16,3] A = {1, -1, 2, 0.5, 1, -2, 3,
        1, -1, 0.25, 2, 1, -1, 1, 1, 2, -2, 1, 0.5, 0.5, -1, 1, 2, 3, -3, 1, 1, 0.5, 2, -1, 1, 1, 1,
        -1, -1, 2, 0.75, 1, 2, -1, 2, 0.5, 1, 1, -1, 1, 2, 1}> {
        q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)  m = MatMul(d, A)
        r = Relu(m)  q2 = QuantizeLinear(r, s2, z2)  y = DequantizeLinear(q2, s2, z2) }""",
    "steps at the end of a net": """g (float[1,16] x) => (float[1,2] y) <float s = {0.125},
        int8 z = {0}, float[16,2] A = {1, -1, 2, 0.5, 1, -2, 3, 1, -1, 0.25, 2, 1, -1, 1, 1, 2,
        -2, 1, 0.5, 0.5, -1, 1, 2, 3, -3, 1, 1, 0.5, 2, -1, 1, 1}> {
        m = MatMul(x, A)  r = Relu(m)  q = QuantizeLinear(r, s, z)
        d = DequantizeLinear(q, s, z)  y = Add(d, m) }""",
    "zero or not": """g (float[1,16] x) => (float[1,16] y) <float o = {0}, float k = {2}> {
        c = Greater(x, o)  f = Cast <to=1> (c)  n = Mul(x, k)  w = Where(c, n, x)
        y = Add(w, f) }""",
    "above a level or not": """g (float[1,16] x) => (float[1,16] y) <float o = {0.2},
        float k = {2}> {
        c = GreaterOrEqual(x, o)  f = Cast <to=1> (c)  n = Mul(x, k)  w = Where(c, n, x)
        y = Add(w, f) }""",
    "one above the other or not": """g (float[1,16] x) => (float[1,8] y) <float k = {2}> {
        a, b = Split <axis=1, num_outputs=2> (x)  c = Less(a, b)  n = Mul(a, k)
        y = Where(c, n, b) }""",
    "equal or not": """g (float[1,16] x) => (float[1,16] y) <float o = {0}> {
        c = Equal(x, o)  y = Cast <to=1> (c) }""",
    "largest": """g (float[1,16] x) => (float[1,3] y, float[1] a) <int64[1] k = {3}> {
        y, i = TopK <axis=1> (x, k)  m = ArgMax <axis=1, keepdims=0> (x)
        a = Cast <to=1> (m) }""",
    "one of eight": f"""g (float[1,16] x) => (float[1,16,8] y) <float k = {{7.5}}, int64 d = {{8}},
        float[2] v = {{0, 3}}> {{ {LEVELS}  i = Cast <to=7> (h)  y = OneHot(i, d, v) }}""",
    "remainder": """g (float[1,16] x) => (float[1,16] y) <float k = {0.0625}> {
        y = Mod <fmod=1> (x, k) }""",
    "rows without zeros": """g (float[1,16] x) => (float[1,16] y) {
        s = Sign(x)  r = Round(x)  a = Add(s, r)  y = Add(a, x) }""",
    "half precision": """g (float16[1,16] x) => (float16[1,16] y) <float16 k = {23544}> {
        h = Mul(x, k)  f = Floor(h)  y = Sub(h, f) }""",
    "double precision": """g (double[1,16] x) => (double[1,16] y) <double k = {255}> {
        h = Mul(x, k)  f = Floor(h)  y = Sub(h, f) }""",
}


def ends_for(name: str, seed: int) -> tuple[Array, Array]:
    """Two rows of 8-bit levels, some of them equal, some 0."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(0, 256, (2, 1, 16)) * (rng.random((2, 1, 16)) < 0.8)
    whole[1] = np.where(rng.random((1, 16)) < 0.3, whole[0], whole[1])
    kind = {"half": np.float16, "double": np.float64}.get(name.partition(" ")[0], np.float32)
    x0, x1 = (whole / 255).astype(kind)
    return x0, x1


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", range(4 if LONG else 1))
def test_pieces_between_8_bit_rows(name: str, seed: int) -> None:
    lin = Linearizer(model(MODELS[name]))
    x0, x1 = ends_for(name, seed)
    path = walk(lin, x0, x1)
    assert assert_pieces_are_the_model(lin, {"x": x0}, {"x": x1}, path) > 0.5 or "half" in name
    for t, x, m in zip((0, 1), (x0, x1), path.ends, strict=True):
        np.testing.assert_allclose(path(t)[0], lin(x).y, atol=(m.bound * m.scale).max(), rtol=0)
    found = path.integrated
    assert found is not None
    assert abs(found.attributions.sum() + found.jumps - found.total) <= found.bound
