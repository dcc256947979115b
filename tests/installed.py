"""What the installed onnxruntime runs: older ones lack operator sets and kernels, or are wrong.

It is asked, by opening a session and running it; its version says less. With
ONNXLIN_RUNTIME=required nothing may be skipped for its sake.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import onnxlin
from onnxlin.load import NEWEST_RUNNABLE
from onnxlin.rules import RULES
from tests.small import model

# An operator set, an operator, or a kernel for these types that it does not have.
LACKS = re.compile(
    r"under development and support for this is limited|is not a registered function/op|"
    r"Could not find an implementation for|Failed to find kernel for|is supported for MatMulNBits"
)


def absent(why: str) -> NoReturn:
    """Skip; fail where ONNXLIN_RUNTIME says that the runtime must have everything."""
    if os.environ.get("ONNXLIN_RUNTIME") == "required":
        pytest.fail(f"ONNXLIN_RUNTIME=required, but {why}")
    pytest.skip(why)


def lack(error: BaseException | None) -> str:
    """What an error, or a cause of it, says that the runtime does not have; else nothing."""
    while error is not None:
        if type(error).__module__.startswith("onnxruntime") and LACKS.search(str(error)):
            return f"this onnxruntime lacks something: {_short(error)}"
        error = error.__cause__
    return ""


def opens(path: Path | str) -> bool:
    """Whether a model's file can be opened."""
    return not _refusal(str(path))


def require(*models: Path | str | onnx.ModelProto) -> None:
    """Skip the test where one of the models cannot be opened."""
    for each in models:
        data = each.SerializeToString() if isinstance(each, onnx.ModelProto) else str(each)
        if why := _refusal(data):
            absent(f"this onnxruntime does not open it: {why}")


def require_survival(proto: onnx.ModelProto) -> None:
    """Skip the test where the runtime crashes as it opens a model: a process of its own asks."""
    text = "import sys, onnxruntime as o; o.InferenceSession(sys.stdin.buffer.read())"
    done = subprocess.run(
        [sys.executable, "-c", text],
        input=proto.SerializeToString(),
        capture_output=True,
        check=False,
    )
    if done.returncode < 0:
        absent(f"this onnxruntime crashes as it opens {proto.graph.node[0].op_type}")


def require_opset(version: int) -> None:
    """Skip the test where graphs of a standard operator set cannot be opened."""
    require(model("g (float x) => (float y) { y = Identity(x) }", version))


def require_definitions() -> None:
    """Skip the test where onnx does not define all that has a rule, or onnxruntime lacks a set.

    The specification's cases come with onnx, of the operator sets and in the format of its day.
    """
    undefined = {"SimplifiedLayerNormalization"}  # onnxruntime's own, in the standard domain
    rules = [name for domain, name in RULES if not domain and name not in undefined]
    if unknown := [name for name in rules if not onnx.defs.has(name)]:
        absent(f"this onnx does not define {unknown}")
    require_opset(max(onnx.defs.get_schema(name).since_version for name in rules))


CODES = """g (float[2] x) => (float[2] y) <float s = {0.5}, uint8 z = {3}>
    { q = QuantizeLinear(x, s, z)  y = DequantizeLinear(q, s, z) }"""
NEWEST_FORMS = {
    "QuantizeLinear": CODES,
    "DequantizeLinear": CODES,
    "LpNormalization": "g (float[2] x) => (float[2] y) { y = LpNormalization(x) }",
}
"""Operators that some onnxruntimes run only in older forms than compiled graphs are written in."""


def require_newest(op_type: str) -> None:
    """Skip the test where compiled graphs, of `NEWEST_RUNNABLE`, cannot have an operator."""
    if op_type in NEWEST_FORMS:
        require(model(NEWEST_FORMS[op_type], NEWEST_RUNNABLE))


def require_quantising() -> None:
    """Skip the test where compiled graphs cannot quantise."""
    require_newest("QuantizeLinear")


@cache
def fewest_rows() -> int:
    """0, or 1 where the kernel of MatMul takes no stack of 0 matrices."""
    text = "g (float[1,1] a, float[K,1,1] b) => (float[K,1,1] y) { y = MatMul(a, b) }"
    feeds = {"a": np.ones((1, 1), np.float32), "b": np.ones((0, 1, 1), np.float32)}
    try:
        _session(model(text).SerializeToString()).run(None, feeds)
    except Exception:  # its errors have no base of their own
        return 1
    return 0


@contextmanager
def asked(
    proto: onnx.ModelProto, x: Mapping[str, Any], truth: Callable[[], Any] | None = None
) -> Iterator[None]:
    """Where a map fails at x: skip if the runtime is to blame.

    It is where it does not run the model at all, and where W x + b is the ``truth`` at x, for
    which the specification's own evaluator stands unless the test knows better.
    """
    try:
        yield
    except onnxlin.TraceError:
        try:
            _session(proto.SerializeToString()).run(None, dict(x))
        except Exception as error:
            absent(f"this onnxruntime does not run it: {_short(error)}")
        raise
    except onnxlin.ResidualError as error:
        m = onnxlin.linearize(proto, dict(x), dtype=np.float64)
        if np.allclose(m.Wx + m.b, truth() if truth else _evaluated(proto, x, m), 1e-4, 1e-5):
            absent(f"this onnxruntime is wrong about it: {str(error)[-200:]}")
        raise


def _evaluated(proto: onnx.ModelProto, x: Mapping[str, Any], m: onnxlin.AffineMap) -> Any:
    try:
        found = ReferenceEvaluator(proto).run(list(m.outputs), dict(x))
    except (NotImplementedError, RuntimeError):
        return np.nan  # it has no verdict
    return np.concatenate([np.ravel(each) for each in found])


@cache
def _refusal(source: str | bytes) -> str:
    try:
        _session(source)
    except Exception as error:
        return _short(error)
    return ""


def _session(source: str | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[-300:]
