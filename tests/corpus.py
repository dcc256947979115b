"""The specification's own test cases, as the installed onnx wheel has them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx

import onnxlin
from onnxlin import OnnxlinError
from tests.grow import Array

# Cases with a larger W are checked on some of its rows.
MOST_ENTRIES = 1_000_000
FEW_ROWS = 5


@dataclass(frozen=True)
class Outcome:
    """What became of a case, with the inputs that were linearised.

    ``kind`` is "reproduced", or "obstacle" (no rule, or inputs that a rule does not let vary),
    "no float" (in or out), "refused" (by the rule, at x), "input" (NaN, infinite, or no tensor),
    "runtime" (onnxruntime cannot), "departs" (the map equals onnxruntime's result, but that is not
    what the case expects).
    """

    case: str
    inputs: tuple[str, ...]
    kind: str
    reason: str


@cache
def cases() -> list[Any]:
    """Every case; making them computes expected values, with NumPy's warnings about some."""
    from onnx.backend.test.case.node import collect_testcases  # slow to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if case.model is not None]


def outcomes(case: Any) -> Iterator[Outcome]:
    """Try a case with all float inputs, or with each alone where they cannot vary together."""
    try:
        report = onnxlin.check_model(case.model)
    except (onnxlin.InputError, onnxlin.TensorNameError) as error:
        yield Outcome(case.name, (), "no float", str(error))
        return
    except onnxlin.UnsupportedNodeError as error:
        yield Outcome(case.name, (), "obstacle", str(error))
        return
    for inputs in [report.inputs] if report.ok else [(name,) for name in report.inputs]:
        obstacles = onnxlin.check_model(case.model, inputs=inputs).obstacles
        if obstacles:
            yield Outcome(case.name, inputs, "obstacle", obstacles[0].obstacle or "")
        else:
            yield Outcome(case.name, inputs, *_run(case, inputs))


def _run(case: Any, inputs: tuple[str, ...]) -> tuple[str, str]:
    """Linearise and compare; a refusal is an outcome, a wrong value is an AssertionError."""
    for given, expected in case.data_sets:
        x = dict(zip([i.name for i in case.model.graph.input], map(_array, given), strict=False))
        want = dict(zip([o.name for o in case.model.graph.output], expected, strict=True))
        try:
            assert_reproduces(case, x, want, inputs)
        except onnxlin.UnsupportedNodeError as error:
            return "refused", str(error)
        except (onnxlin.ModelError, onnxlin.TraceError) as error:
            return "runtime", str(error)
        except onnxlin.InputError as error:
            return "input", str(error)
        except DepartsError:
            return "departs", case.name
    return "reproduced", ""


def assert_reproduces(
    case: Any, x: dict[str, Array], want: dict[str, Any], inputs: tuple[str, ...]
) -> None:
    """W x + b is what the specification expects, as near as the case asks."""
    lin = onnxlin.Linearizer(case.model, inputs=inputs)
    wanted = [np.ravel(_array(want[n])).astype(np.float64) for n in lin.section.outputs]
    y = np.concatenate(wanted)
    rows = None
    if y.size * sum(x[name].size for name in inputs) > MOST_ENTRIES:
        rows = np.linspace(0, y.size - 1, FEW_ROWS).astype(int)
        y = y[rows]
    m = lin(x, rows=rows, dtype=np.float64)
    text = f"{case.name}, inputs {inputs}"
    allowed = case.atol + case.rtol * np.abs(y)
    # Expected values are rounded to the model's type, at which some intermediates are, too.
    gap = np.abs(m.Wx + m.b - y) - m.bound * m.scale
    try:
        m.verify()
    except OnnxlinError as error:
        raise AssertionError(f"{text}: {error}") from error
    assert m.composition_residual.max(initial=0) <= 1e-12, text
    if (np.abs(m.y - y) > allowed).any():
        raise DepartsError  # the map holds, but onnxruntime is no witness for the specification
    assert (gap <= allowed).all(), f"{text}: {m.Wx + m.b} instead of {y}"


class DepartsError(Exception):
    """onnxruntime computes something else than the specification's case expects."""


def _array(value: Any) -> Any:
    """The array of a tensor, whether it stands there as a message or as an array."""
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic | float) else value
