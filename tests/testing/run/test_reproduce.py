"""A reproducer is a script that fails again, in any process and folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx

from onnxlin.testing import assert_linearizes
from onnxlin.testing.run.reproduce import reproducer
from tests.small import X, mlp, model

ROOT = Path(__file__).parents[3]
PLANT = """\
from dataclasses import replace
import onnxlin
from onnxlin.primitives import identity
from onnxlin.rules import Affine
true = onnxlin.RULES["", "Relu"]
wrong = lambda node: Affine({0: identity(node.shape(0))})
onnxlin.RULES["", "Relu"] = replace(true, function=wrong)
"""


def script(path: str, folder: Path, planted: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script, with a bug if one is given: Python imports sitecustomize at its start."""
    bugs = folder / "bugs"
    bugs.mkdir(exist_ok=True)
    (bugs / "sitecustomize.py").write_text(planted)
    paths = os.pathsep.join([str(bugs), str(ROOT)])
    how = {"capture_output": True, "text": True, "env": os.environ | {"PYTHONPATH": paths}}
    return subprocess.run([sys.executable, path], cwd=folder, check=False, timeout=120, **how)


def test_the_script_fails_as_long_as_the_bug_is_there(tmp_path: Path) -> None:
    onnx.save(mlp(), tmp_path / "net.onnx")
    options = {"mode": "tangent", "laws": ["at-x"]}
    where = tmp_path / "deep" / "net.failure"
    written = reproducer(where, tmp_path / "net.onnx", {"x": X}, options)
    assert [Path(name).suffix for name in written] == [".npz", ".py"]
    text = Path(written[1]).read_text()
    assert len(text.splitlines()) == 3
    done = script(written[1], tmp_path, PLANT)
    assert done.returncode == 1
    assert "LawError: Law 'at-x' does not hold (mode='tangent')" in done.stderr
    assert "Relu at node 'act'" in done.stderr
    assert script(written[1], tmp_path).returncode == 0


def test_a_model_in_memory_is_written_too(tmp_path: Path) -> None:
    for given in (mlp(), mlp().SerializeToString()):
        written = reproducer(tmp_path / "it", given, {"x": X}, {})
        assert onnx.load(written[2]) == mlp()
        assert script(written[1], tmp_path).returncode == 0


def test_inputs_of_every_type_come_back(tmp_path: Path) -> None:
    """Strings are objects to the runtime, and "file" is a keyword of numpy.savez."""
    text = (
        "g (string[2] s, float[2] file, bfloat16[2] h, bool[2] c) => (float[2] y) "
        "{ e = Equal(s, s)  d = And(e, c)  w = Cast <to = 1> (h)  n = Neg(file)  "
        "m = Where(d, file, n)  y = Add(m, w) }"
    )
    proto = model(text, opset=19)
    bfloat = onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)
    x = {
        "s": np.array(["a", "b"], object),
        "file": np.array([1, -2], np.float32),
        "h": np.array([1.5, -3], bfloat),
        "c": np.array([True, False]),
    }
    written = reproducer(tmp_path / "it", proto, x, {})
    found = dict(np.load(written[0]))
    for name, value in x.items():
        assert found[name].tolist() == value.astype(found[name].dtype).tolist()
    assert_linearizes(proto, found)
