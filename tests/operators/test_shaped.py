"""Inference by onnx is given what it can take: no operator takes the process with it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnxlin.load import load
from onnxlin.operators.shaped import HIDDEN, Ranks, guarded, settled_shapes
from tests.small import model

TEXT = """g (float[1,3,4,4] x, int64[2] i) => (y, z) {
    a = Relu(x)  b = Flatten(a)  c = com.example.Strange(b)  d = Exp(c)
    y = Softmax(b)  z = EyeLike(d) }"""


def test_no_operator_kills_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.graph.every_schema"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    last = done.stdout.strip().splitlines()[-1:]
    assert done.returncode == 0, f"{done.returncode} at {last}: {done.stderr[-2000:]}"
    assert int(last[0].split()[0]) > 10_000


def test_a_type_that_nobody_knows_is_a_report_and_no_death(tmp_path) -> None:
    """A LabelEncoder behind an operator for which inference has no function."""
    nodes = [
        helper.make_node("Normalizer", ["x"], ["t"], domain="ai.onnx.ml"),
        helper.make_node("LabelEncoder", ["t"], ["y"], domain="ai.onnx.ml",
                         keys_floats=[0.0, 1.0], values_floats=[1.0, 2.0]),
    ]  # fmt: skip
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy"]
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), path)
    done = subprocess.run(
        [sys.executable, "-m", "onnxlin", "check", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "LabelEncoder" in done.stdout


def test_ranks_are_found_up_to_what_inference_may_not_see() -> None:
    made = model(TEXT)
    domains = {node.output[0]: node.domain for node in guarded(made).graph.node}
    assert domains == dict.fromkeys("aby", "") | dict.fromkeys("cdz", HIDDEN)
    ranks = Ranks(made)
    assert {name: ranks[name] for name in ranks} == {"x": 4, "i": 1, "a": 4, "b": 2, "y": 2}
    assert made == model(TEXT)


def test_ranks_are_not_asked_for_unless_an_old_form_needs_them(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", lambda *a, **k: asked.append(a))
    load(model("g (float[1,3] x) => (y) { a = Relu(x)  y = Softmax <axis = 1> (a) }", 13))
    assert not asked


def test_a_vector_of_a_billion_numbers_is_no_shape() -> None:
    """Inference would make a tensor of a billion axes of it."""
    made = model(f"g (float[2] x, int64[{2**40}] s) => (y) {{ y = Reshape(x, s) }}")
    assert dict(Ranks(made)) == {"x": 1, "s": 1}


def test_shapes_that_no_value_moves_are_settled() -> None:
    made = model("""g (float[n] x, bool b) => (y) {
        s = Shape(x)  r = Reshape(x, s)  k = NonZero(x)
        y = If (b) <then_branch = t () => (float[n] u) { u = Relu(r) },
                    else_branch = e () => (float[n] v) { v = Tanh(x) }> }""")
    settled = settled_shapes(made, {"x": np.ones(3, np.float32), "b": np.array(True)})
    assert {"x", "b", "s", "r", "y"} <= settled.keys()
    assert "k" not in settled


def test_no_numbers_are_written_down_for_entries_that_nobody_has(monkeypatch) -> None:
    """Inference writes one for every entry of a vector that a shape may be made of."""
    seen = []
    real = onnx.shape_inference.infer_shapes
    monkeypatch.setattr(
        onnx.shape_inference, "infer_shapes", lambda m, **k: seen.append(m) or real(m, **k)
    )
    made = model(f"""g (float[{2**30}] x, int64[2] i) => (y) <int64[1] s = {{{2**40}}}> {{
        c = ConstantOfShape(s)  d = Gather(c, c)  z = Relu(x)  y = Gather(x, i) }}""")
    wide = np.broadcast_to(np.float32(1), 2**30)
    assert settled_shapes(made, {"x": wide})["x"] == (2**30,)
    (shown,) = seen
    assert [n.domain for n in shown.graph.node] == [HIDDEN, "", "", ""]
    assert not shown.graph.input[0].type.tensor_type.shape.dim[0].dim_value


def test_bounds_of_slices_may_be_huge() -> None:
    made = model(f"""g (float[2,3] x) => (y) <int64[1] s = {{1}}, int64[1] e = {{{2**63 - 1}}}> {{
        y = Slice(x, s, e) }}""")
    assert settled_shapes(made, {"x": np.ones((2, 3), np.float32)})["y"] == (1, 3)
