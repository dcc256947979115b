"""Assertions for the tests of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from onnxlin.errors import MissingRuleError, OptionError, UnsupportedNodeError
from onnxlin.linearizer import Names
from onnxlin.load import Model, exported
from onnxlin.readings.compare.compare import compare
from onnxlin.runtime.sandbox import Sandbox
from onnxlin.section import HALVES, MODES, STAIRCASE, require_mode
from onnxlin.section.ends import listed
from onnxlin.section.feeds import Instance
from onnxlin.section.gates import Choice
from onnxlin.testing.child import assert_in_child
from onnxlin.testing.draw.draw import Drawn, instances
from onnxlin.testing.laws.laws import named
from onnxlin.testing.laws.subject import Subject
from onnxlin.testing.run.examine import PASSED, examine
from onnxlin.testing.verdicts import LawError, NoMapError


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
    gates: Choice = HALVES,
    engine: str = "auto",
    dtype: npt.DTypeLike | None = None,
    memory: int | str | None = None,
    seed: int = 0,
    sandbox: bool | Sandbox | None = None,
) -> None:
    """Assert that a model is the affine map that onnxlin says it is at x, by every law.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
    x : array, or {input name: array}, optional
        By default one drawn instance of each of `onnxlin.testing.draw.draw.KINDS`.
    mode : {"tangent", "frozen"}, optional
        The reading of smooth operators; by default both.
    laws : names, optional, by default all of `onnxlin.testing.laws.LAWS`
    inputs, outputs, rows, rounding, gates, engine, dtype, memory
        See `onnxlin.linearize`. By default all rows, or a few of a large map.
    seed : int
        Of what is drawn.
    sandbox : bool or onnxlin.Sandbox, optional
        Hold them in a process of its own; see `onnxlin.check_model`.

    Raises
    ------
    LawError
        Which law, what was expected and found, the first node that departs; or nodes without rules.
    OnnxlinError
        The model cannot be read, x does not fit it, or no law has anything to say there.
    """
    if mode is not None:
        require_mode(mode)
    chosen, model = named(laws), exported(model, x)
    ends = {"inputs": listed(inputs), "outputs": listed(outputs), "rounding": rounding}
    options: dict[str, Any] = {**ends, "gates": gates, "engine": engine, "memory": memory}
    if (box := Sandbox.of(sandbox)) is not None:
        asks = {**options, "mode": mode, "laws": [law.name for law in chosen], "seed": seed}
        assert_in_child(model, x, box, rows=rows, dtype=dtype, options=asks)
        return
    subject = Subject(model, rows=rows, dtype=dtype, **options)
    points = _points(subject, x, seed)
    modes = MODES if mode is None else (mode,)
    said = False
    for found in examine(subject, points, chosen, modes):
        if found.error is not None:
            raise found.error
        said |= found.verdict == PASSED
    if not said:
        raise OptionError(f"No law had anything to say: {found.reason} Give another x.")


def _points(subject: Subject, x: Instance | None, seed: int) -> list[Drawn]:
    """What the laws are held at; what was given must have a map."""
    try:
        if x is None:
            return list(instances(subject, seed=seed))
        feeds = subject.feeds(x)
        subject.map(feeds)
    except (MissingRuleError, UnsupportedNodeError) as error:
        raise NoMapError(str(error)) from error
    return [Drawn("x", "given", feeds)]


def assert_same_map(
    a: Model,
    b: Model,
    x: Instance,
    *,
    tol: float | None = None,
    mode: str | None = None,
    inputs: Names = None,
    outputs: Names = None,
    rows: Any = None,
    rounding: str = STAIRCASE,
) -> None:
    """Assert that two models are one affine map at x: before and after an optimiser, say.

    Parameters
    ----------
    a, b : path, bytes or onnx.ModelProto
        Inputs and outputs are matched by name, else by order.
    x : array, or {input name: array}
    tol : float, optional
        How far y, W and b may be apart, as a fraction of their sizes; see
        `onnxlin.readings.compare.compare`. By default as far as rounding explains.
    mode : {"tangent", "frozen"}, optional
        By default both.
    inputs, outputs, rounding
        Of both models; see `onnxlin.Linearizer`.
    rows : indices or combinations, optional
        By default all rows, or a few of a large map.

    Raises
    ------
    LawError
        An AssertionError, with the first node that departs and the whole comparison.
    OnnxlinError
        A model cannot be linearised, or the two do not take this x.
    """
    if mode is not None:
        require_mode(mode)
    ends: dict[str, Any] = {"inputs": inputs, "outputs": outputs, "rounding": rounding}
    one, other = Subject(exported(a, x), rows=rows, **ends), Subject(exported(b, x), **ends)
    few = one.rows(one.feeds(x))
    for reading in MODES if mode is None else (mode,):
        first, second = (subject.linearizer(reading) for subject in (one, other))
        found = compare(first, second, x, rows=few, tol=tol)
        if not found.same:
            raise LawError(
                "same-map", reading, "y, W and b of one model = those of the other", str(found),
                found.departure, "Look at what was done to that node between the two models.",
            )  # fmt: skip
