"""What is always kept, and what follows from W, x and the shares of b alone."""

from __future__ import annotations

import numpy as np

from onnxlin.data.kept.samples import Samples
from onnxlin.data.kept.variable import Layout, Variable
from onnxlin.graph import Array

Arrays = dict[str, Array]
WIDE = "float64"


def always(layout: Layout) -> tuple[Variable, ...]:
    """F(x), which row is kept, and what proves it."""
    dims, shape = layout.many
    whole = layout.outputs if layout.rows is None else len(layout.rows)
    own = Variable("explained", (), (), "int64", "the output whose row of W is kept; -1 for none")
    return (
        Variable("y", ("output",), (whole,), WIDE, "F(x), the model's own run by onnxruntime"),
        *((own,) if layout.rows is None else ()),
        Variable("Wx", dims, shape, WIDE, "W x"),
        Variable("b", dims, shape, WIDE, "what no feature is given: F(x) = W x + b"),
        Variable(
            "residual", dims, shape, WIDE, "|F(x) - (W x + b)| / (|W| |x| + sum of |shares of b|)"
        ),
        Variable("failed", (), (), "uint8", "1 where a sample has no map; the table says why"),
    )


def contributions(layout: Layout, stored: str) -> tuple[Variable, ...]:
    """Describe W * x."""
    (dims, shape), own = layout.many, (layout.dims, layout.shape)
    about = "W * x: signed, summing to Wx"
    return (Variable("contributions", (*dims, *own[0]), (*shape, *own[1]), stored, about),)


def matrix(layout: Layout, stored: str) -> tuple[Variable, ...]:
    """Describe the rows of W."""
    (dims, shape), own = layout.many, (layout.dims, layout.shape)
    return (Variable("W", (*dims, *own[0]), (*shape, *own[1]), stored, "rows of W"),)


def ledger(layout: Layout, _stored: str) -> tuple[Variable, ...]:
    """Describe the shares of b."""
    dims, shape = layout.many
    about = "share of b that each node brings in, summing to b"
    return (Variable("ledger", (*dims, "node"), (*shape, len(layout.nodes)), WIDE, about),)


def arrays_of(samples: Samples, what: tuple[str, ...]) -> tuple[Arrays, Array]:
    """Compute what follows from W, x and the shares; with the scale of the residuals.

    Returns
    -------
    arrays : {variable's name: array (n, ...)}
    scale : array (n, K)
    """
    layout = samples.layout
    Wx, b, scale = samples.ends()
    taken = samples.taken
    found: Arrays = {
        "Wx": Wx,
        "b": b,
        "residual": np.abs(taken - (Wx + b)) / scale,
        "y": samples.y if layout.rows is None else taken,
    }
    if "contributions" in what:
        found["contributions"] = samples.products
    if "W" in what:
        found["W"] = samples.W
    if "ledger" in what:
        found["ledger"] = samples.shares
    if layout.rows is None:
        found = {n: a[:, 0] if n != "y" else a for n, a in found.items()}
        found["explained"] = samples.rows[:, 0]
    return found, scale
