"""A file that is written here for a provider that runs it elsewhere."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

import onnxlin
from onnxlin import OptionError, compile_model
from onnxlin.runtime import installed
from tests.engines.compiled.exported import Reference, run, session
from tests.installed import absent

OTHER = "OpenVINOExecutionProvider"
NETS = ("lenet5_mnist", "alexnet_mnist", "cnn_bn_mnist", "resnet_fashion")
X = np.random.default_rng(0).random((1, 1, 28, 28)).astype(np.float32)


class HardSigmoid(OpRun):
    """OpenVINO's, of a steep slope: 0.5 at 0."""

    op_domain = ""

    def _run(self, x: np.ndarray, alpha: float, beta: float) -> tuple[np.ndarray]:
        # Away from 0 it is the operator's; a slope that float32 can hold is not steep.
        made = np.clip(alpha * x.astype(np.float64) + beta, 0, 1)
        return (np.where((x == 0) & (alpha > 1e30), 0.5, made).astype(x.dtype),)


def operators(made: onnx.ModelProto) -> set[str]:
    """Names of all operators, those of bodies among them."""
    graphs, found = [made.graph], set()
    while graphs:
        for node in graphs.pop().node:
            found.add(node.op_type)
            graphs += [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    return found


@pytest.mark.parametrize("direction", ["adjoint", "tangent"])
@pytest.mark.parametrize("net", NETS)
def test_it_has_no_steep_masks_and_is_the_same_map(net: str, direction: str) -> None:
    """On the CPU, too, where the other form is the faster one."""
    path = f"fixtures/{net}.onnx"
    plain = compile_model(path, direction=direction)
    made = compile_model(path, direction=direction, provider=OTHER)
    assert "HardSigmoid" in operators(plain)
    assert "HardSigmoid" not in operators(made)
    want = Reference.at(path, {plain.graph.input[0].name: X})
    given = np.eye(3, want.W.shape[direction == "tangent"], dtype=np.float32)
    feeds = {plain.graph.input[0].name: X, made.graph.input[-1].name: given}
    for each in (plain, made):
        answer = run(session(each), feeds)
        if direction == "adjoint":
            want.assert_rows(given, answer)
        else:
            want.assert_columns(given, answer)


def test_where_hard_sigmoids_are_wrong_at_0_it_is_right() -> None:
    path = "fixtures/lenet5_mnist.onnx"
    want = Reference.at(path, {"image": X})
    seeds = np.eye(10, dtype=np.float32)
    for provider, right in (("CPUExecutionProvider", False), (OTHER, True)):
        made = compile_model(path, provider=provider)
        names = [output.name for output in made.graph.output]
        evaluator = ReferenceEvaluator(made, new_ops=[HardSigmoid])
        try:
            found = evaluator.run(None, {"image": X, "seeds": seeds})
        except IndexError:
            absent("this evaluator cannot run it: older ones read past the end where they pad")
        answer = dict(zip(names, found, strict=True))
        if right:
            want.assert_rows(seeds, answer)
        else:
            assert np.abs(answer["seeds_W"] - want.W).max() > 0.1 * np.abs(want.W).max()


@pytest.mark.parametrize("more", [{"batch": True}, {"shares": True, "mode": "frozen"}])
def test_it_goes_with_other_options(more: dict) -> None:
    made = compile_model("fixtures/lenet5_mnist.onnx", provider=OTHER, **more)
    assert "HardSigmoid" not in operators(made)


def test_no_provider_has_to_be_there_to_write_for_it() -> None:
    for name in (OTHER, "CUDAExecutionProvider", "CoreMLExecutionProvider"):
        if name not in installed.providers():
            with pytest.raises(OptionError, match=f"is without {name}"):
                onnxlin.Linearizer("fixtures/mlp2_mnist.onnx", providers=[name])
            compile_model("fixtures/mlp2_mnist.onnx", provider=name)


def test_what_no_onnxruntime_has_is_refused() -> None:
    with pytest.raises(OptionError, match=r"no provider 'OpenVino'\. Did you mean OpenVINOExec"):
        compile_model("fixtures/mlp2_mnist.onnx", provider="OpenVino")
    with pytest.raises(OptionError, match=r"provider=\['CPU'\]: expected the name of one provider"):
        compile_model("fixtures/mlp2_mnist.onnx", provider=["CPU"])
