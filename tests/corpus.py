"""The specification's own test cases, as the installed onnx wheel has them.

``python -m tests.corpus`` prints what becomes of them, and the counts that the test has.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import onnx

import onnxlin
from onnxlin import AffineMap, Linearizer, OnnxlinError
from onnxlin.graph import Array
from onnxlin.rules import RULES
from onnxlin.section.widened import is_narrow
from onnxlin.testing.bounds.differences import KinkError, assert_tangent
from tests.agree import assert_same_map
from tests.engines.compiled.elsewhere import plain

# Cases with a larger W are checked on some of its rows.
MOST_ENTRIES = 1_000_000
FEW_ROWS = 5
COMPOSITION = 1e-12


@dataclass(frozen=True)
class Outcome:
    """What became of a case, with the inputs that were linearised.

    ``kind`` is one of `KINDS`; ``kinked`` says that x lies on a kink, so that differences say
    nothing. ``graph`` is "compiled" where the compiled engine gives the same map, else why there
    is no graph, a key of `NO_GRAPH`; "" where nobody asked.
    """

    case: str
    inputs: tuple[str, ...]
    kind: str
    reason: str
    kinked: bool = False
    graph: str = ""


KINDS = {
    "reproduced": "W x + b is what the case expects, differences agree with W, frozen holds",
    "constant": "the same of a locally constant operator: W = 0",
    "random": "W x + b is what the run has drawn, W = 0 with respect to draws",
    "departs": "as reproduced, but onnxruntime, and W x + b, are not what the case expects",
    "refused": "the rule says that it does not know this use",
    "obstacle": "no rule, or an input that may not depend on x",
    "input": "NaN, infinite, or no tensor",
    "runtime": "onnxruntime cannot run it",
    "no float": "no float goes in, or none comes out: nothing to linearise",
    "FAILED": "a wrong value, or an error that should not be",
}


NO_GRAPH = {
    "values": "a decision depends on the values at x",
    "function": "has no form in a graph",
    "entries": "entries depends on the values at x",
    "shape": "values decide",
    "coarse": "coarser than the map's",
    "kernel": "onnxruntime cannot open the compiled graph",
    "input": "which onnxruntime cannot take",
    "run": "onnxruntime cannot run the model at this x",
    "infinite": "is NaN or infinite at this x",
}
"""Why a case does not compile -> what the error says."""


@cache
def cases() -> list[Any]:
    """Every case; making them computes expected values, with NumPy's warnings about some."""
    from onnx.backend.test.case.node import collect_testcases  # slow to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if case.model is not None]


def status(case: Any) -> str:
    """Status of the operator of a case; "" for the expanded ones, which have many."""
    nodes = [node for node in case.model.graph.node if node.op_type != "Constant"]
    rule = RULES.get((nodes[0].domain, nodes[0].op_type)) if len(nodes) == 1 else None
    return rule.status if rule else ""


def outcomes(case: Any) -> Iterator[Outcome]:
    """Try a case with all float inputs, or with each alone where they cannot vary together."""
    try:
        report = onnxlin.check_model(case.model, compiles=False)
    except (onnxlin.InputError, onnxlin.TensorNameError):
        yield Outcome(case.name, (), "no float", "none goes in, or none comes out")
        return
    except onnxlin.UnsupportedNodeError as error:
        yield Outcome(case.name, (), "obstacle", str(error))
        return
    given = {i.name for i in case.model.graph.input}
    if not given.issuperset(report.inputs):
        yield Outcome(case.name, (), "no float", "integers go in")
        return
    for inputs in [report.inputs] if report.ok else [(name,) for name in report.inputs]:
        obstacles = onnxlin.check_model(case.model, inputs=inputs, compiles=False).obstacles
        if obstacles:
            yield Outcome(case.name, inputs, "obstacle", obstacles[0].obstacle or "")
        else:
            yield _run(case, inputs)


def survey(chosen: Iterable[Any]) -> Iterator[Outcome]:
    """Outcomes of many cases; a wrong value is an outcome, too."""
    for case in chosen:
        try:
            yield from outcomes(case)
        except (AssertionError, OnnxlinError, ArithmeticError, ValueError) as error:
            yield Outcome(case.name, (), "FAILED", f"{type(error).__name__}: {error}")


def _run(case: Any, inputs: tuple[str, ...]) -> Outcome:
    """Linearise and compare; a refusal is an outcome, a wrong value is an AssertionError."""
    found = Outcome(case.name, inputs, "reproduced", "")
    for given, expected in case.data_sets:
        x = dict(zip([i.name for i in case.model.graph.input], map(_array, given), strict=False))
        want = dict(zip([o.name for o in case.model.graph.output], expected, strict=True))
        try:
            kind, kinked = assert_reproduces(case, x, want, inputs)
            found = replace(found, graph=assert_compiles(case, x, inputs))
        except onnxlin.UnsupportedNodeError as error:
            return replace(found, kind="refused", reason=str(error))
        except (onnxlin.ModelError, onnxlin.TraceError) as error:
            return replace(found, kind="runtime", reason=str(error))
        except onnxlin.InputError as error:
            return replace(found, kind="input", reason=str(error))
        found = replace(found, kind=kind, kinked=kinked or found.kinked)
    return found


def assert_reproduces(
    case: Any, x: dict[str, Array], want: dict[str, Any], inputs: tuple[str, ...]
) -> tuple[str, bool]:
    """W x + b is what the specification expects, in both readings, and W is the derivative.

    Returns
    -------
    (kind of outcome, whether a kink hides the differences)
    """
    lin = Linearizer(case.model, inputs=inputs)
    wanted = [np.ravel(_array(want[n])).astype(np.float64) for n in lin.section.outputs]
    y = np.concatenate(wanted)
    rows = None
    if y.size * sum(x[name].size for name in inputs) > MOST_ENTRIES:
        rows = np.linspace(0, y.size - 1, FEW_ROWS).astype(int)
        y = y[rows]
    text = f"{case.name}, inputs {inputs}"
    m = lin(x, rows=rows, dtype=np.float64)
    frozen = Linearizer(case.model, inputs=inputs, mode="frozen")(x, rows=rows, dtype=np.float64)
    kind = status(case)
    for each in [m] if draws(m) else [m, frozen]:
        _assert_holds(each, f"{text}, {each.mode}")
    _assert_holds(frozen, f"{text}, frozen")
    if draws(m):
        assert kind != "random" or not m.W.any(), f"{text}: W is not 0"
        return "random", False
    if kind == "constant":
        assert not m.W.any(), f"{text}: W is not 0"
        assert not frozen.W.any(), f"{text}: W is not 0"
    kinked = _kinked(lin, x, m, text)
    allowed = case.atol + case.rtol * np.abs(y)
    if not (np.abs(m.y - y) <= allowed).all():  # older cases expect no number where 0 is right
        return "departs", kinked  # the map holds, but the runtime is no witness for the case
    for each in (m, frozen):
        # Expected values are rounded to the model's type, at which some intermediates are, too.
        gap = np.abs(each.Wx + each.b - y) - each.bound * each.scale
        assert (gap <= allowed).all(), f"{text}: {each.Wx + each.b} instead of {y}"
    return "constant" if kind == "constant" else "reproduced", kinked


def assert_compiles(case: Any, x: dict[str, Array], inputs: tuple[str, ...]) -> str:
    """The compiled engine gives the map of the reverse engine, or says why it cannot."""
    lin = Linearizer(case.model, inputs=inputs, session_options=plain())
    rows = list(range(FEW_ROWS)) if sum(y.size for y in lin.run(x).values()) > FEW_ROWS else None
    try:
        m = lin(x, rows, engine="compiled")
    except (onnxlin.OptionError, onnxlin.TraceError) as error:
        return next(key for key, text in NO_GRAPH.items() if text in str(error))
    if is_narrow(lin.section):
        # Constants that follow from others, as a scale does, are not rounded to 16 bits there.
        assert (m.residual <= m.bound).all(), f"{case.name}, inputs {inputs}: compiled"
        return "compiled"
    other = lin(x, rows, engine="reverse")
    try:
        assert_same_map(other, m, anew=True)
    except AssertionError as error:
        raise AssertionError(f"{case.name}, inputs {inputs}: compiled: {error}") from error
    return "compiled"


def draws(m: AffineMap) -> bool:
    """Whether something that the run has drawn enters the outputs."""
    return any(step.status == "random" for step in m.made_from("status").program.steps)


def _assert_holds(m: AffineMap, text: str) -> None:
    """The map equals the run."""
    try:
        m.verify()
    except OnnxlinError as error:
        raise AssertionError(f"{text}: {error}") from error
    assert m.composition_residual.max(initial=0) <= COMPOSITION, text


def _kinked(lin: Linearizer, x: dict[str, Array], m: AffineMap, text: str) -> bool:
    """Compare W with differences; return whether a kink is in the way."""
    try:
        assert_tangent(lin, x, m)
    except KinkError:
        return True
    except AssertionError as error:
        raise AssertionError(f"{text}: {error}") from error
    return False


def _array(value: Any) -> Any:
    """The array of a tensor, whether it stands there as a message or as an array."""
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic | float) else value


def table(found: Iterable[Outcome]) -> str:
    """Say how many cases came out how, with the reasons of those that did not come out."""
    found = list(found)
    counts, reasons = Counter(o.kind for o in found), Counter((o.kind, o.reason) for o in found)
    lines = []
    for kind, meaning in KINDS.items():
        kinked = sum(o.kinked for o in found if o.kind == kind)
        hidden = f" ({kinked} of them on a kink, without differences)" if kinked else ""
        if counts[kind]:
            lines.append(f"{counts[kind]:5} {kind}: {meaning}{hidden}")
        lines += [
            f"      {n:5} {reason[:150]}"
            for (k, reason), n in reasons.most_common()
            if k == kind and reason
        ]
    return "\n".join(lines)


PARTS = ("a", "bc", "defg", "hijkl", "mnop", "qr", "stuvwxyz")
"""The corpus in parts of like cost, by the first letter of a case's name."""


def part(letters: str) -> list[Any]:
    """Cases whose names begin with one of some letters."""
    return [case for case in cases() if case.name.removeprefix("test_")[0].lower() in letters]


def counted(found: Iterable[Outcome]) -> dict[str, int]:
    """How many cases came out how; a "+" counts those on a kink, where differences say nothing."""
    counts = Counter(o.kind + "+" * o.kinked for o in found)
    return dict(sorted(counts.items()))


def graphs(found: Iterable[Outcome]) -> dict[str, int]:
    """How many cases the compiled engine serves, and how many it does not, for which reason."""
    return dict(sorted(Counter(o.graph for o in found if o.graph).items()))


if __name__ == "__main__":
    parts = {letters: list(survey(part(letters))) for letters in PARTS}
    everything = [outcome for found in parts.values() for outcome in found]
    print(table(everything))
    for outcome in everything:
        if outcome.kind in ("departs", "FAILED"):
            print(f"{outcome.kind}: {outcome.case}: {outcome.reason[:300]}")
    print({letters: counted(found) for letters, found in parts.items()})
    print({letters: graphs(found) for letters, found in parts.items()})
