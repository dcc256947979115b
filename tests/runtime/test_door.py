"""onnxruntime has one door: what imports it, and what opens sessions, lies in `onnxlin.runtime`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import onnxlin
from onnxlin.errors import TraceError
from onnxlin.runtime import session as door
from onnxlin.runtime.providers import asked_providers
from tests.small import X, mlp

ROOT = Path(onnxlin.__file__).parent
MAKES = {"InferenceSession", "SessionOptions"}


def found(code: str) -> Iterator[str]:
    """What a module does that only the door may do: "imports" or "opens"."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call):
            made = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if made in MAKES:
                yield "opens"
            # By name: import_module("onnxruntime"), __import__("onnxruntime").
            names = [str(a.value) for a in node.args if isinstance(a, ast.Constant)]
            names = names if made in ("import_module", "__import__") else []
        else:
            continue
        if any(name.split(".")[0] == "onnxruntime" for name in names):
            yield "imports"


@pytest.mark.parametrize(
    "code",
    [
        "import onnxruntime",
        "def f():\n    import onnxruntime.capi as c",
        "from onnxruntime import InferenceSession",
        "from onnxruntime.capi.onnxruntime_pybind11_state import Fail",
        "from importlib import import_module\nort = import_module('onnxruntime')",
    ],
)
def test_an_import_is_found(code: str) -> None:
    assert list(found(code)) == ["imports"]


@pytest.mark.parametrize("code", ["door.InferenceSession(data)", "SessionOptions()"])
def test_an_opening_is_found(code: str) -> None:
    assert list(found(code)) == ["opens"]


def test_only_the_door_opens() -> None:
    does = {p.relative_to(ROOT).as_posix(): set(found(p.read_text())) for p in ROOT.rglob("*.py")}
    assert {path for path, what in does.items() if "opens" in what} == {"runtime/session.py"}
    imports = {path for path, what in does.items() if "imports" in what}
    assert imports == {"runtime/session.py", "runtime/installed.py", "runtime/deadline.py"}


def test_the_options_of_each_purpose() -> None:
    level = onnxruntime.GraphOptimizationLevel
    plain = door.without_optimisers(threads=1, spinning=False)
    assert plain.graph_optimization_level == level.ORT_DISABLE_ALL
    assert plain.intra_op_num_threads == 1
    assert plain.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    ours = door.for_compiled(threads=2)
    assert ours.graph_optimization_level == onnxruntime.SessionOptions().graph_optimization_level
    assert ours.intra_op_num_threads == 2
    for options in (plain, ours):
        assert options.log_severity_level == 4


def test_providers_are_handed_on() -> None:
    chosen = asked_providers([("CPUExecutionProvider", {"use_arena": 1})])
    assert chosen.given == [("CPUExecutionProvider", {"use_arena": "1"})]
    opened = door.opened(mlp(), door.without_optimisers(), chosen)
    assert opened.get_providers() == ["CPUExecutionProvider"]


def test_a_run_that_fails_says_what_the_runtime_said() -> None:
    opened = door.opened(mlp(), door.without_optimisers())
    (name,) = (i.name for i in opened.get_inputs())
    (output,) = (o.name for o in opened.get_outputs())
    assert len(door.run(opened, [output], {name: X})) == 1
    with pytest.raises(
        TraceError, match=r"cannot run the model at this x: .*[Uu]nexpected"
    ) as error:
        door.run(opened, [output], {name: X.astype(np.float64)})
    assert "\n" not in str(error.value)


def test_one_line() -> None:
    assert door.said(ValueError("a  b\n c")) == "a b c"
