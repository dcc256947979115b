"""A net against what the quantisation tools of onnxruntime make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime.quantization as tools
import pytest

from onnxlin.graph import Array
from onnxlin.readings import Comparison, compare
from tests.small import model as small
from tests.test_quantised_nets import STRAIGHT, Reader

QDQ, QOPERATOR = tools.QuantFormat.QDQ, tools.QuantFormat.QOperator
NET = "lenet5_mnist"
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def x() -> Array:
    return np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)


@pytest.fixture(scope="module")
def quantised(fixtures: Path, tmp_path_factory: pytest.TempPathFactory, x: Array) -> Any:
    """Files of the net in all forms."""
    source, folder = fixtures / f"{NET}.onnx", tmp_path_factory.mktemp("quantised")
    name = onnx.load(source).graph.input[0].name
    made = {"float": source}
    for form in (QDQ, QOPERATOR):
        made[form.name] = folder / f"{form.name}.onnx"
        reader = Reader(name, [x])
        tools.quantize_static(source, made[form.name], reader, quant_format=form)
    made["dynamic"] = folder / "dynamic.onnx"
    tools.quantize_dynamic(source, made["dynamic"], weight_type=tools.QuantType.QUInt8)
    return made


def first(c: Comparison) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    assert c.first is not None
    return c.first.a, c.first.nodes_a, c.first.nodes_b


@pytest.mark.parametrize("rounding", ["staircase", STRAIGHT])
def test_the_first_to_depart_is_where_the_input_is_quantised(
    quantised: dict[str, Path], x: Array, rounding: str
) -> None:
    c = compare(quantised["float"], quantised["QDQ"], x, rounding=rounding)
    assert not c.same
    name, nodes_a, nodes_b = first(c)
    assert name == "image"
    assert nodes_a == ()
    assert [n.split()[0] for n in nodes_b] == ["QuantizeLinear", "DequantizeLinear"]
    assert "no node of A, tensor 'image'" in str(c)
    # The scale is the range over 255, and a rounding is off by half of it.
    assert c.first is not None
    assert c.first.own <= x.max() / 255 / 2 * 1.001
    assert c.names is not None
    assert len(c.names.tensors) >= 9
    assert "QuantizeLinear" in " ".join(c.names.only_b)


def test_codes_are_compared_as_the_numbers_that_they_stand_for(
    quantised: dict[str, Path], x: Array
) -> None:
    c = compare(quantised["float"], quantised["QOperator"], x)
    by_name = {one.b: one for one in c.tensors}
    pool = next(one for name, one in by_name.items() if "MaxPool" in name)
    assert pool.b.endswith("_quantized")
    assert pool.dtypes == ("float32", "int8")
    assert pool.relative < 0.02
    name, _, nodes_b = first(c)
    assert name == "image"
    assert nodes_b[0].startswith("QuantizeLinear")


def test_dynamic_quantisation_departs_where_it_takes_its_scale(
    quantised: dict[str, Path], x: Array
) -> None:
    c = compare(quantised["float"], quantised["dynamic"], x, rounding=STRAIGHT)
    assert not c.same
    name, nodes_a, nodes_b = first(c)
    assert (name, nodes_a) == ("image", ())
    assert [node.split()[0] for node in nodes_b] == ["DynamicQuantizeLinear"]
    second = [one for one in c.tensors if one.state == "introduced"][1]
    assert [node.split()[0] for node in second.nodes_a] == ["Conv"]
    assert "ConvInteger" in {node.split()[0] for node in second.nodes_b}
    assert max(one.relative for one in c.outputs) < 0.1


@pytest.mark.parametrize("form", ["QDQ", "QOperator", "dynamic"])
def test_a_staircase_says_why_its_matrix_is_zero(
    quantised: dict[str, Path], x: Array, form: str
) -> None:
    c = compare(quantised["float"], quantised[form], x)
    # Dynamic quantisation takes its scales from the extremes of x, which goes beside the rounding.
    assert c.b.W.any() == (form == "dynamic")
    (note,) = c.notes
    holds = "holds only what goes beside the roundings" if form == "dynamic" else "is 0"
    assert note.startswith(f"W of B {holds} because B rounds its numbers")
    assert note in str(c)
    straight = compare(quantised["float"], quantised[form], x, rounding=STRAIGHT)
    assert straight.b.W.any()
    assert not straight.notes
    assert all(row.cosine > 0.5 for row in straight.rows if row.cosine is not None)


@pytest.mark.parametrize("form", ["QDQ", "QOperator", "dynamic"])
@pytest.mark.parametrize("rounding", ["staircase", STRAIGHT])
def test_a_quantised_net_is_itself(
    quantised: dict[str, Path], x: Array, form: str, rounding: str
) -> None:
    c = compare(quantised[form], quantised[form], x, rounding=rounding)
    assert c.equal
    assert c.departure is None
    assert {one.state for one in c.tensors} == {"equal"}


def test_both_static_forms_are_one_map(quantised: dict[str, Path], x: Array) -> None:
    """Straight through, the codes and what they stand for are the same affine map."""
    c = compare(quantised["QDQ"], quantised["QOperator"], x, rounding=STRAIGHT)
    assert all(row.W_relative is not None and row.W_relative < 1e-5 for row in c.rows)


@pytest.mark.parametrize("after", ["Relu", "Clip", ""])
def test_a_node_that_does_the_work_of_two_is_matched_with_the_second(
    tmp_path: Path, after: str
) -> None:
    """A quantised convolution that cuts off at 0 has the name of what comes before the ReLU."""
    rng = np.random.default_rng(0)
    weights = {"W": (4, 3, 3, 3), "B": (4,)}
    tail = {"Relu": "r = Relu(c)", "Clip": "r = Clip(c, low)", "": "r = Neg(c)"}[after]
    proto = small(
        f"g (float[1,3,8,8] x) => (float[1,144] y) <float low = {{0}}> "
        f"{{ [conv] c = Conv(x, W, B)  {tail}  y = Flatten(r) }}",
        opset=17,
    )
    for name, shape in weights.items():
        array = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    source, made = tmp_path / "float.onnx", tmp_path / "quantised.onnx"
    onnx.save(proto, source)
    x = rng.normal(size=(1, 3, 8, 8)).astype(np.float32)
    tools.quantize_static(source, made, Reader("x", [x]), quant_format=QOPERATOR)
    c = compare(source, made, x, rounding=STRAIGHT)
    (conv,) = [one for one in c.tensors if one.b in ("c", "c_quantized")]
    assert conv.a == ("r" if after else "c")
    assert conv.relative < 0.05
    assert all(one.relative < 0.05 for one in c.tensors)


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_it_is_the_same_which_of_the_two_is_quantised(
    quantised: dict[str, Path], x: Array, form: str
) -> None:
    forth = compare(quantised["float"], quantised[form], x)
    back = compare(quantised[form], quantised["float"], x)
    inner = {(t.a, t.b) for t in forth.tensors[1:-1]}
    assert inner == {(t.b, t.a) for t in back.tensors[1:-1]}
    # Each activation, though a quantised node does its ReLU as well.
    assert sum("Relu" in name for name, _ in inner) == 4
    assert all(t.relative < 0.05 for t in back.tensors)
