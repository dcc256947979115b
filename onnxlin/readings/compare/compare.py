"""Two models at one input: how far their maps are apart, and which node makes the difference."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.errors import InputError, OptionError
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model
from onnxlin.readings.compare import rows as by_row
from onnxlin.readings.compare.agree import by_values
from onnxlin.readings.compare.align import Aligned, align, align_maps, places
from onnxlin.readings.compare.comparison import Comparison
from onnxlin.readings.compare.flips import flipped
from onnxlin.readings.compare.ledger import ledgers, outputs
from onnxlin.readings.compare.names import match
from onnxlin.readings.compare.nodes import judge
from onnxlin.readings.compare.sides import Side
from onnxlin.section import STAIRCASE
from onnxlin.section.feeds import Instance
from onnxlin.section.options import number, whole


def compare(
    a: AffineMap | Linearizer | Model,
    b: AffineMap | Linearizer | Model,
    x: Instance | None = None,
    *,
    rows: Any = None,
    dtype: npt.DTypeLike = np.float64,
    engine: str = "auto",
    mode: str = "tangent",
    rounding: str = STAIRCASE,
    tol: float | None = None,
    top: int = 5,
) -> Comparison:
    """Compare two models, or two maps, at one input.

    Parameters
    ----------
    a, b : Linearizer or what it takes, or both AffineMap
        Inputs and outputs are matched by name, else by order; other tensors and nodes by name.
    x : array, or {input name of A: array}
        Not given with maps, which hold theirs.
    rows, dtype, engine
        Of the maps, see `Linearizer`; rows are those of A.
    mode, rounding
        For models that are not linearizers yet.
    tol : float, optional
        Call maps the same that are this far apart: in y and b as a fraction of the residual's
        scale ``|W| |x| + sum of |bias contributions|``, in W of ``|W|`` of the row. By default
        only what rounding explains.
    top : int
        Features to list for each row.

    Returns
    -------
    Comparison
        At x alone. Which entry of W may be off by how much: docs/readings/compare.md.

    Raises
    ------
    InputError
        The two do not take the same input, or do not have outputs of the same shapes.
    OptionError, DetachedError, and what a `Linearizer` raises
    """
    require_tolerance(tol)
    if isinstance(a, AffineMap) and isinstance(b, AffineMap):
        if x is not None:
            raise OptionError("Two maps hold their x; give no other.")
        return _of_maps(a, b, None, tol, top)
    if isinstance(a, AffineMap) or isinstance(b, AffineMap):
        raise OptionError("Compare two maps or two models; a map and a model were given.")
    if x is None:
        raise OptionError("Two models are compared at one x; none was given.")
    first, second = (
        m if isinstance(m, Linearizer) else Linearizer(m, mode=mode, rounding=rounding, example=x)
        for m in (a, b)
    )
    together = align(first, second, x)
    maps = _linearised(first, second, together, rows, engine=engine, dtype=dtype)
    return _with_nodes(_of_maps(*maps, together, tol, top), (first, second), together)


def require_tolerance(tol: float | None) -> None:
    """Refuse what is no tolerance.

    Raises
    ------
    OptionError
    """
    if tol is not None and not (math.isfinite(number("tol", tol)) and tol >= 0):
        raise OptionError(f"tol={tol!r}; expected a number that is 0 or more, or None.")


def _linearised(
    a: Linearizer, b: Linearizer, together: Aligned, rows: Any, **how: Any
) -> tuple[AffineMap, AffineMap]:
    """Make both maps: of A the rows asked for, of B those that go with them."""
    ours = a(together.feeds[0], rows, **how)
    return ours, b(together.feeds[1], together.rows_of_b(ours), **how)


def _of_maps(
    a: AffineMap, b: AffineMap, together: Aligned | None, tol: float | None, top: int
) -> Comparison:
    """Compare what maps hold; inputs and outputs are matched by name, or as ``together`` says."""
    whole("top", top)
    both = together or align_maps(a, b)
    if len(a.rows) != len(b.rows):
        raise InputError(f"The maps have {len(a.rows)} and {len(b.rows)} rows; make them alike.")
    columns = places(a.inputs, both.inputs, b.inputs)
    found, judged = by_row.rows(a, b, columns, tol=tol, top=top)
    return Comparison(
        a,
        b,
        rows=found,
        outputs=outputs(a, b, both.outputs),
        ledger=ledgers(a, b, None),
        tensors=(),
        flips=(),
        names=None,
        judged=judged,
        tol=tol,
        notes=both.notes,
    )


def _with_nodes(found: Comparison, models: tuple[Linearizer, ...], together: Aligned) -> Comparison:
    """Add what the runs of the models say, node by node."""
    a, b = (Side.of(lin, feeds) for lin, feeds in zip(models, together.feeds, strict=True))
    names = by_values(match(a.section, b.section, together.inputs | together.outputs), a, b)
    origin = found.a.made_from("a comparison")
    decided = origin.decided() if origin.decided else origin.program
    maps = (found.a, found.b)
    return replace(
        found,
        ledger=ledgers(*maps, names),
        tensors=judge(a, b, names),
        flips=flipped(decided, a, b, names),
        names=names,
        notes=(*found.notes, *_quantised(models, maps, (a, b))),
    )


def _quantised(
    models: tuple[Linearizer, ...],
    maps: tuple[AffineMap, AffineMap],
    sides: tuple[Side, Side],
) -> list[str]:
    """Say where W is 0, or nearly, because its model rounds."""
    found = []
    for name, lin, m, side in zip("AB", models, maps, sides, strict=True):
        if lin.rounding == STAIRCASE and side.section.nodes != lin.section.nodes:
            holds = "holds only what goes beside the roundings" if m.W.any() else "is 0"
            found.append(
                f"W of {name} {holds} because {name} rounds its numbers (it is quantised): read as "
                'a staircase it does not depend on x. rounding="straight-through" compares what '
                "lies beneath the rounding"
            )
    return found
