"""Assertions for the tests of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from onnxlin.errors import OptionError
from onnxlin.feeds import Instance
from onnxlin.linearizer import Names
from onnxlin.load import Model
from onnxlin.section import MODES, STAIRCASE, require_mode
from onnxlin.testing.draw import Drawn, instances
from onnxlin.testing.examine import PASSED, examine
from onnxlin.testing.laws import named
from onnxlin.testing.subject import Subject


def assert_linearizes(
    model: Model,
    x: Instance | None = None,
    *,
    mode: str | None = None,
    laws: str | Sequence[str] | None = None,
    inputs: Names = None,
    outputs: Names = None,
    rows: Any = None,
    rounding: str = STAIRCASE,
    engine: str = "auto",
    dtype: npt.DTypeLike | None = None,
    memory: int | str | None = None,
    seed: int = 0,
) -> None:
    """Assert that a model is the affine map that onnxlin says it is at x, by every law.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
    x : array, or {input name: array}, optional
        By default one drawn instance of each of `onnxlin.testing.draw.KINDS`.
    mode : {"tangent", "frozen"}, optional
        The reading of smooth operators; by default both.
    laws : names, optional
        By default all of `onnxlin.testing.laws.LAWS`.
    inputs, outputs, rows, rounding, engine, dtype, memory
        See `onnxlin.linearize`. By default all rows, or a few of a large map.
    seed : int
        Of what is drawn.

    Raises
    ------
    LawError
        An AssertionError: which law, what was expected and found, the first node that departs.
    OnnxlinError
        The model cannot be linearised, x does not fit it, or no law has anything to say there.
    """
    if mode is not None:
        require_mode(mode)
    chosen = named(laws)
    options: dict[str, Any] = {"inputs": inputs, "outputs": outputs, "rounding": rounding}
    subject = Subject(model, rows=rows, engine=engine, dtype=dtype, memory=memory, **options)
    if x is None:
        points = list(instances(subject, seed=seed))
    else:
        points = [Drawn("x", "given", subject.feeds(x))]
        subject.map(points[0].feeds)  # what was given must have a map
    modes = MODES if mode is None else (mode,)
    said = False
    for found in examine(subject, points, chosen, modes):
        if found.error is not None:
            raise found.error
        said |= found.verdict == PASSED
    if not said:
        raise OptionError(f"No law had anything to say: {found.reason} Give another x.")
