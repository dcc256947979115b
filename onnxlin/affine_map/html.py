"""A map in a notebook: small static HTML, without script."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

import numpy as np

from onnxlin.affine_map.colours import COLOURS, png, ramp
from onnxlin.affine_map.protocol import Readable
from onnxlin.affine_map.verdict import Verdict
from onnxlin.errors import OnnxlinError
from onnxlin.graph.picture import Geometry, guess_geometry
from onnxlin.primitives import Array
from onnxlin.texts import in_html

# Entries of W that are computed for being shown; a larger W must have been asked for before.
SMALL = 2**16
ROWS, MAPS, BARS, NODES = 5, 3, 8, 5
SIDE = 196  # CSS pixels of a picture
LONGEST = 256  # pixels of it


def to_html(m: Readable, *, known: bool, bounded: bool) -> str:
    """Describe a map: shapes, its strongest rows, and what carries the strongest of them.

    Parameters
    ----------
    m : onnxlin.AffineMap
    known : bool
        Whether W is there already; if not, it is computed only if it is small.
    bounded : bool
        Whether the bound of its residual is there already; else there is no verdict.
    """
    parts = [f"<p><b>AffineMap</b> F(x) = W x + b: {_shapes(m)}</p>"]
    try:
        if not (known or len(m.rows) * len(m.x) <= SMALL):
            size = f"{len(m.rows):,} x {len(m.x):,}"
            parts.append(f"<p>W ({size}) has not been computed yet: <code>m.W</code> does.</p>")
        elif len(m.rows):
            parts += _computed(m, bounded)
    except (OnnxlinError, MemoryError) as error:
        parts.append(f"<p>{'<br>'.join(map(in_html, str(error).splitlines()))}</p>")
    return f'<div class="onnxlin-map" style="max-width:44em">{"".join(parts)}</div>'


def _shapes(m: Readable) -> str:
    inputs, outputs = (
        ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items()) for shapes in m.shapes
    )
    how = f"W {len(m.rows):,} x {len(m.x):,} {m.dtype}, {m.mode} mode, engine {m.engine}"
    return in_html(f"{inputs} → {outputs}. {how}.")


def _computed(m: Readable, bounded: bool) -> Iterator[str]:
    """What needs W: rows, verdict, heat maps or bars."""
    strongest = np.argsort(-m.y, kind="stable")[:ROWS].tolist()
    yield _rows(m, strongest)
    yield f"<p>{_verdict(m, bounded)}</p>"
    geometry = guess_geometry(next(iter(m.inputs.values())).shape) if len(m.inputs) == 1 else None
    if geometry is not None:
        maps = (_heat_map(m, i, geometry) for i in strongest[:MAPS])
        yield "".join((_input(m, geometry), *maps))
    else:
        yield _bars(m, strongest[0])
    yield _biases(m, strongest[0])


def _rows(m: Readable, places: Sequence[int]) -> str:
    rows = [
        [_name(m, i), *(f"{value:.5g}" for value in (m.y[i], m.Wx[i], m.b[i])), f"{residual:.1e}"]
        for i, residual in zip(places, m.residual[list(places)], strict=True)
    ]
    left = f"<p>The {len(places)} largest of {len(m.rows):,} rows.</p>"
    table = _table(("row", "F(x)", "W x", "b", "residual"), rows)
    return table + left * (len(places) < len(m.rows))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML, to the right."""
    style = 'style="text-align:right;padding:.1em .6em"'
    head = "".join(f"<th {style}>{name}</th>" for name in heads)
    body = "".join(
        f"<tr>{''.join(f'<td {style}>{cell}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _name(m: Readable, place: int) -> str:
    return f"combination {place}" if m.rows.index is None else f"{int(m.rows.index[place])}"


def _verdict(m: Readable, bounded: bool) -> str:
    """What the bound decides where it is known; it takes a sweep of its own."""
    worst = f"largest residual {m.residual.max():.1e}"
    if not bounded:
        return f"{worst}; <code>m.verify()</code> holds it against its bound"
    relation = {
        Verdict.PASS: "within what rounding allows",
        Verdict.FAIL: "past what rounding allows",
        Verdict.UNDECIDED: "but rounding may be as large as F(x), so that proves nothing",
    }
    return f"<b>{m.verdict}</b> {worst}, {relation[m.verdict]}"


def _heat_map(m: Readable, place: int, geometry: Geometry) -> str:
    """W x of a row as a picture, channels added up, and blocks of pixels of a large one."""
    plane, block = _blocks(geometry.to_picture(m.W[place].astype(np.float64) * m.x).sum(axis=0))
    size = np.abs(plane).max(initial=0.0)
    name = _name(m, place)
    blocks = f", {block} x {block} pixels added up" * (block > 1)
    alt = f"W x of row {name} as a heat map, largest size {size:.3g}"
    pixels = ramp(plane / size if size else plane)
    return _picture(pixels, alt, f"W x of {name}, ±{size:.3g}{blocks}")


def _input(m: Readable, geometry: Geometry) -> str:
    """X from its least number to its largest, as grey or as colours; of a large one some pixels."""
    planes = np.moveaxis(geometry.to_picture(m.x), 0, -1).astype(np.float64)
    step = -(-max(planes.shape[:2]) // LONGEST)
    low, high = planes.min(initial=np.inf), planes.max(initial=-np.inf)
    share = (planes[::step, ::step] - low) / (high - low if high > low else 1.0)
    share = share if share.shape[-1] == 3 else share.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    pixels = np.rint(255 * np.nan_to_num(share)).astype(np.uint8)
    return _picture(pixels, f"the input, {low:.3g} to {high:.3g}", f"x, {low:.3g} to {high:.3g}")


def _blocks(plane: Array) -> tuple[Array, int]:
    """Add up blocks of pixels of a large picture; return them, and the side of a block."""
    block = -(-max(plane.shape) // LONGEST)
    for axis, length in enumerate(plane.shape):
        plane = np.add.reduceat(plane, np.arange(0, length, block), axis=axis)
    return plane, block


def _picture(pixels: Array, alt: str, caption: str) -> str:
    height, width = pixels.shape[:2]
    wide = SIDE if width >= height else SIDE * width // height
    return (
        f'<figure style="display:inline-block;margin:0 1em 0 0"><img alt="{alt}" '
        f'src="data:image/png;base64,{base64.b64encode(png(pixels)).decode()}" '
        f'style="width:{max(wide, 8)}px;image-rendering:pixelated;border:1px solid #999">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _bars(m: Readable, place: int) -> str:
    """Strongest entries of W x of a row, as bars."""
    values = m.W[place].astype(np.float64) * m.x
    order = np.argsort(-np.abs(values), kind="stable")[:BARS].tolist()
    size = float(np.abs(values).max(initial=0.0)) or 1.0
    rows = [
        [in_html(_entry(m, i)), f"{m.x[i]:.5g}", _bar(values[i] / size), f"{values[i]:+.5g}"]
        for i in order
    ]
    return f"<p>What carries row {_name(m, place)}:</p>{_table(('entry', 'x', '', 'W x'), rows)}"


def _biases(m: Readable, place: int) -> str:
    """Nodes that bring in the largest shares of b of a row."""
    shares = {node: float(share[place]) for node, share in m.bias_by_node.items()}
    nodes = sorted((node for node in shares if shares[node]), key=lambda node: -abs(shares[node]))
    listed = [f"{in_html(node)} {shares[node]:+.5g}" for node in nodes[:NODES]]
    more = [f"{len(nodes) - NODES} more"] * (len(nodes) > NODES)
    return f"<p>b of row {_name(m, place)}: {', '.join([*listed, *more]) or 'none'}</p>"


def _bar(share: float) -> str:
    red, green, blue = COLOURS[9] if share > 0 else COLOURS[1]
    return (
        f'<div style="width:{10 * abs(share):.2f}em;min-width:1px;height:.8em;'
        f'background:rgb({red},{green},{blue})"></div>'
    )


def _entry(m: Readable, column: int) -> str:
    tensor = next(name for name, at in m.columns_of.items() if at.start <= column < at.stop)
    shape = m.inputs[tensor].shape
    at = np.unravel_index(column - m.columns_of[tensor].start, shape) if shape else ()
    return f"{tensor}[{','.join(str(int(i)) for i in at)}]" if shape else tensor
