"""The strategy of models gives what it promises, and shrinks."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import assume, find, given, settings
from hypothesis import strategies as st

from onnxlin import OptionError
from onnxlin.testing import GrownModel, onnx_models
from onnxlin.testing.models import MAKERS, grow, running
from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.makers import moves, windows
from onnxlin.testing.models.strategy import NEWEST, OLDEST
from tests.installed import require_opset

searching = settings(max_examples=300, derandomize=True, database=None, deadline=None)


@given(onnx_models())
def test_valid_run_and_finite(grown: GrownModel) -> None:
    onnx.checker.check_model(grown.model, full_check=True)
    found = grown.run()
    for info in grown.model.graph.output:
        sides = tuple(side.dim_value for side in info.type.tensor_type.shape.dim)
        assert found[info.name].shape == sides
    assert all(value.dtype == np.float32 for value in grown.x.values())
    assert all(np.isfinite(value).all() for value in grown.tensors().values())
    assert all(value.size <= 120 for value in grown.tensors(floats=False).values())


@given(onnx_models(max_nodes=3))
def test_its_text_is_the_model(grown: GrownModel) -> None:
    text = repr(grown).split("\nfloat[")[0]
    assume("= ...>" not in text and "= ...," not in text)  # older onnx prints no unsigned bytes
    again = onnx.parser.parse_model(text)
    assert [n.op_type for n in again.graph.node] == [n.op_type for n in grown.model.graph.node]
    for name, value in grown.x.items():
        assert f"float[{','.join(map(str, value.shape))}] {name} = {{" in repr(grown)


@pytest.mark.parametrize("version", range(OLDEST, min(NEWEST, onnx.defs.onnx_opset_version()) + 1))
def test_any_operator_set(version: int) -> None:
    require_opset(version)

    @settings(max_examples=8)
    @given(onnx_models(opsets=version, max_nodes=4))
    def has_version(grown: GrownModel) -> None:
        assert grown.model.opset_import[0].version == version

    has_version()


@given(st.sampled_from(sorted(MAKERS)), st.data())
def test_a_model_of_one_operator_has_it(op_type: str, data: st.DataObject) -> None:
    grown = data.draw(onnx_models(op_type, max_nodes=2))
    assert any(node.op_type in (op_type, "Cast", "Where") for node in grown.model.graph.node)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime whose kernel of Softmax fails."""

    def run(model: onnx.ModelProto, feeds: Any) -> Any:
        if any(node.op_type == "Softmax" for node in model.graph.node):
            raise grow.RuntimeException("not today")
        return running.run(model, feeds)

    monkeypatch.setattr(grow, "run", run)


@pytest.mark.usefixtures("refusing")
def test_what_the_runtime_does_not_run_is_left_out() -> None:
    @settings(max_examples=20)
    @given(onnx_models(["Softmax", "Relu"], max_nodes=3))
    def left_out(grown: GrownModel) -> None:
        made = {node.op_type for node in grown.model.graph.node}
        assert "Relu" in made
        assert "Softmax" not in made

    left_out()


@pytest.mark.usefixtures("refusing")
def test_a_node_that_is_not_valid_is_never_left_out() -> None:
    def badly(g: Grow) -> None:
        g.give((2, 3), halves=False)
        g.add("Softmax", [g.live[0], g.live[0]])

    with pytest.raises(onnx.shape_inference.InferenceError, match="Softmax"):
        find(st.composite(lambda draw: badly(Grow(draw, np.random.default_rng(0), 18)))(), bool)


def test_sequences_of_no_length_where_the_runtime_forgets_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moves, "copies_empty_sequences", lambda: False)

    @given(onnx_models("ReverseSequence", max_nodes=1))
    def some_length(grown: GrownModel) -> None:
        for tensor in grown.model.graph.initializer:
            if tensor.name in grown.model.graph.node[-1].input:
                assert onnx.numpy_helper.to_array(tensor).all()

    some_length()


def test_pools_where_the_runtime_counts_what_overhangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "counts_overhang", lambda: True)

    @given(onnx_models("AveragePool", max_nodes=1, opsets=18))
    def either(grown: GrownModel) -> None:
        given_ = {a.name: a.i for a in grown.model.graph.node[-1].attribute}
        assert not (given_.get("ceil_mode") and given_.get("count_include_pad"))

    either()


def test_it_shrinks_to_one_node() -> None:
    few = onnx_models(["Softmax", "Add", "Relu", "MatMul", "Gather"])
    found = find(few, lambda g: any(n.op_type == "Relu" for n in g.model.graph.node),
                 settings=searching)  # fmt: skip
    assert [node.op_type for node in found.model.graph.node] == ["Relu"]
    found = find(
        onnx_models(["Add", "Relu"]), lambda g: len(g.model.graph.node) >= 3, settings=searching
    )
    assert len(found.model.graph.node) == 3
    assert found.model.opset_import[0].version == 21


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"ops": ["Rleu"]},
        r"no maker for \['Rleu'\]. Near them: \[.*'Relu'.*\]. It grows from",
    ),
    ({"ops": ["Foo"]}, r"operators: Abs, Acos, .*, Xor\."),
    ({"ops": []}, "no operator to grow from"),
    ({"opsets": 12}, r"operator sets 13 to 26; opsets has \[12\]"),
    ({"ops": "Gelu", "opsets": (13, 18)}, r"\['Gelu'\] in operator sets \[13, 18\]; .* 20 to 26"),
    ({"min_nodes": 3, "max_nodes": 2}, "give 1 <= min_nodes <= max_nodes"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_cannot_be_grown_is_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        onnx_models(**options)
