"""What a user's type checker sees of the installed package, from outside the checkout."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
USER = """\
import numpy as np
import onnxlin
from onnxlin import AffineMap, Linearizer, check_model, compile_model, linearize, readings

x = np.zeros((1, 3))
m: AffineMap = linearize("m.onnx", x, rows=[0], engine="reverse", dtype=np.float64).verify()
reveal_type(m.W)
reveal_type(m.b)
reveal_type(m.bias_by_node)
print(m.W @ m.x + m.b - m.y, m.residual.max(), m.bound.max(), m.contributions[0], m.plan.upper())
for layer in m.layers:
    print(layer.terms)

lin = Linearizer("m.onnx", outputs="logits", mode="frozen", memory="1GiB")
for each in lin.map(np.zeros((4, 3)), engine="compiled"):
    reveal_type(each.engine)

report = check_model("m.onnx")
reveal_type(report.compiles)
print([node.status for node in report.nodes])
reveal_type(compile_model("m.onnx", "compiled.onnx"))
reveal_type(readings.contributions(m))
reveal_type(readings.ledger(m))
reveal_type(readings.Region(m))
try:
    m.verify()
except onnxlin.ResidualError as error:
    print(error)
"""
# What the types begin with: the parameters of an array are NumPy's, and change with it.
REVEALED = [
    "numpy.ndarray[",
    "numpy.ndarray[",
    "typing.Mapping[str, numpy.ndarray[",
    "str",
    "bool | None",
    "onnx.onnx_ml_pb2.ModelProto",
    "onnxlin.readings.row.contributions.Contributions",
    "onnxlin.readings.bias.ledger.Ledger",
    "onnxlin.readings.region.region.Region",
]
WRONG = """\
import onnxlin

m = onnxlin.linearize("m.onnx", 0.0)
width: str = m.W
print(m.Weights, onnxlin.linearise)
onnxlin.Linearizer(7)
"""
FOUND = ["assignment", "attr-defined", "attr-defined", "arg-type"]


def test_a_script_of_a_user(tmp_path: Path) -> None:
    """No error where all is right, types that say something, and every planted error."""
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "user.py", "wrong.py"]
    # In a folder of its own: the settings of this checkout, and its sources, are out of sight.
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not done.stderr
    revealed = re.findall(r'user\.py:\d+: note: Revealed type is "(.*)"', done.stdout)
    for found, start in zip(revealed, REVEALED, strict=True):
        assert found.startswith(start)
    errors = re.findall(r"^(\S+?):\d+: error: .*\[(.*)\]$", done.stdout, re.MULTILINE)
    assert errors == [("wrong.py", code) for code in FOUND], done.stdout


def test_the_wheel_says_that_it_is_typed(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "onnxlin/py.typed" in names
    assert not [name for name in names if not name.startswith("onnxlin")]
