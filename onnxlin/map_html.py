"""A map in a notebook: small static HTML, without script."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxlin.errors import OnnxlinError
from onnxlin.geometry import Geometry, guess_geometry
from onnxlin.primitives import Array

if TYPE_CHECKING:
    from onnxlin.affine_map import AffineMap

# Entries of W that are computed for being shown; a larger W must have been asked for before.
SMALL = 2**16
ROWS, MAPS, BARS = 5, 3, 8
SIDE = 112  # CSS pixels of a heat map

COLOURS = [
    [5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31],
]  # fmt: skip
"""From blue (lowers) over white (0) to red (raises): RdBu of colorbrewer2.org, which matplotlib
calls RdBu_r."""


def to_html(m: AffineMap, *, known: bool, bounded: bool) -> str:
    """Describe a map: shapes, its strongest rows, and what carries the strongest of them.

    Parameters
    ----------
    m : AffineMap
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
        parts.append(f"<p>{html.escape(str(error))}</p>")
    return f'<div class="onnxlin-map" style="max-width:44em">{"".join(parts)}</div>'


def _shapes(m: AffineMap) -> str:
    inputs, outputs = (
        ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items()) for shapes in m.shapes
    )
    how = f"W {len(m.rows):,} x {len(m.x):,} {m.dtype}, {m.mode} mode, engine {m.engine}"
    return html.escape(f"{inputs} → {outputs}. {how}.")


def _computed(m: AffineMap, bounded: bool) -> Iterator[str]:
    """What needs W: rows, verdict, heat maps or bars."""
    strongest = np.argsort(-m.y, kind="stable")[:ROWS].tolist()
    yield _rows(m, strongest)
    yield f"<p>{_verdict(m, bounded)}</p>"
    geometry = guess_geometry(next(iter(m.inputs.values())).shape) if len(m.inputs) == 1 else None
    if geometry is not None:
        yield "".join(_heat_map(m, i, geometry) for i in strongest[:MAPS])
    else:
        yield _bars(m, strongest[0])


def _rows(m: AffineMap, places: Sequence[int]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("row", "F(x)", "W x", "b", "residual"))
    body = "".join(
        f"<tr><td>{_name(m, i)}</td><td>{m.y[i]:.5g}</td><td>{m.Wx[i]:.5g}</td>"
        f"<td>{m.b[i]:.5g}</td><td>{residual:.1e}</td></tr>"
        for i, residual in zip(places, m.residual[list(places)], strict=True)
    )
    left = f"<p>The {len(places)} largest of {len(m.rows):,} rows.</p>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return table + left * (len(places) < len(m.rows))


def _name(m: AffineMap, place: int) -> str:
    return f"combination {place}" if m.rows.index is None else f"{int(m.rows.index[place])}"


def _verdict(m: AffineMap, bounded: bool) -> str:
    """PASS or FAIL where the bound is known; it takes a sweep of its own."""
    worst = f"largest residual {m.residual.max():.1e}"
    if not bounded:
        return f"{worst}; <code>m.verify()</code> holds it against its bound"
    passes = bool((m.residual <= m.bound).all())
    word = "PASS" if passes else "FAIL"
    relation = "within" if passes else "past"
    return f"<b>{word}</b> {worst}, {relation} what rounding allows"


def _heat_map(m: AffineMap, place: int, geometry: Geometry) -> str:
    """W x of a row as a picture, channels added up."""
    plane = geometry.to_picture(m.W[place].astype(np.float64) * m.x).sum(axis=0)
    size = np.abs(plane).max(initial=0.0)
    found = png(ramp(plane / size if size else plane))
    width = SIDE if plane.shape[1] >= plane.shape[0] else SIDE * plane.shape[1] // plane.shape[0]
    name = _name(m, place)
    return (
        f'<figure style="display:inline-block;margin:0 1em 0 0">'
        f'<img alt="W x of row {name} as a heat map, largest size {size:.3g}" '
        f'src="data:image/png;base64,{base64.b64encode(found).decode()}" '
        f'style="width:{max(width, 8)}px;image-rendering:pixelated;border:1px solid #999">'
        f"<figcaption>W x of {name}, ±{size:.3g}</figcaption></figure>"
    )


def _bars(m: AffineMap, place: int) -> str:
    """Strongest entries of W x of a row, as bars."""
    values = m.W[place].astype(np.float64) * m.x
    order = np.argsort(-np.abs(values), kind="stable")[:BARS].tolist()
    size = float(np.abs(values).max(initial=0.0)) or 1.0
    body = "".join(
        f"<tr><td>{html.escape(_entry(m, i))}</td><td>{m.x[i]:.5g}</td>"
        f'<td style="width:10em;text-align:left">{_bar(values[i] / size)}</td>'
        f"<td>{values[i]:+.5g}</td></tr>"
        for i in order
    )
    head = "<tr><th>entry</th><th>x</th><th></th><th>W x</th></tr>"
    return (
        f"<p>What carries row {_name(m, place)}:</p>"
        f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
    )


def _bar(share: float) -> str:
    red, green, blue = COLOURS[9] if share > 0 else COLOURS[1]
    return (
        f'<div style="width:{100 * abs(share):.1f}%;min-width:1px;height:.8em;'
        f'background:rgb({red},{green},{blue})"></div>'
    )


def _entry(m: AffineMap, column: int) -> str:
    tensor = next(name for name, at in m.columns_of.items() if at.start <= column < at.stop)
    shape = m.inputs[tensor].shape
    at = np.unravel_index(column - m.columns_of[tensor].start, shape) if shape else ()
    return f"{tensor}[{','.join(str(int(i)) for i in at)}]" if shape else tensor


def ramp(ratios: Array) -> Array:
    """Colours of values between -1 and 1: ``(..., 3)`` of uint8."""
    stops = np.array(COLOURS, np.float64)
    at = (np.clip(ratios, -1, 1) + 1) / 2 * (len(stops) - 1)
    channels = [np.interp(at, np.arange(len(stops)), stop) for stop in stops.T]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def png(pixels: Array) -> bytes:
    """Write ``(height, width, 3)`` of uint8 as a PNG file (RFC 2083): truecolour, no filter."""
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)
    lines[:, 1:] = pixels.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
