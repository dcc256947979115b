"""Element types are derived as onnx's own inference finds them, and where it finds none."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto

from onnxlin.graph.typed import element_types
from tests.corpus import cases
from tests.longer import LONG
from tests.small import model

T = TensorProto


def test_types_of_the_specifications_cases_are_those_of_inference() -> None:
    found = 0
    for case in cases()[:: 1 if LONG else 8]:
        bare = onnx.ModelProto()
        bare.CopyFrom(case.model)
        ends = [onnx.ValueInfoProto(name=output.name) for output in bare.graph.output]
        del bare.graph.output[:], bare.graph.value_info[:]
        bare.graph.output.extend(ends)
        own = element_types(bare)
        graph = onnx.shape_inference.infer_shapes(bare).graph
        for info in (*graph.value_info, *graph.output):
            kind = info.type.WhichOneof("value")
            inferred = info.type.tensor_type.elem_type if kind == "tensor_type" else T.UNDEFINED
            if kind and (inferred or kind != "tensor_type"):
                assert own.get(info.name) == inferred, (case.name, info.name)
                found += 1
    assert found > (2000 if LONG else 250)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("y = com.example.Strange(x)", None),
        ("a = com.example.Strange(x)  y = Relu(a)", None),
        ("a = com.example.Strange(x)  y = Shape(a)", T.INT64),
        ("a = com.example.Strange(x)  y = Cast <to = 11> (a)", T.DOUBLE),
        ("a = com.example.Strange(x)  y = EyeLike <dtype = 10> (a)", T.FLOAT16),
        ("a = com.example.Strange(x)  y = EyeLike (a)", None),
        ("y = SequenceConstruct(x, x)", T.UNDEFINED),
        ("s = SequenceConstruct(x, x)  i = Size(x)  y = SequenceAt(s, i)", T.FLOAT),
        ("i = Size(x)  s = SequenceEmpty()  y = SequenceAt(s, i)", T.FLOAT),
        ("y = com.example.Strange()  z = Relu(x)", None),
    ],
)  # fmt: skip
def test_what_follows_from_a_stranger_and_what_does_not(text, kind) -> None:
    assert element_types(model(f"g (float[2] x) => (y) {{ {text} }}")).get("y") == kind


def test_what_is_declared_counts_where_nothing_else_is_known() -> None:
    made = model(
        "g (float[2] x) => (double[2] y, int64[2] z) { y = com.example.Strange(x)  z = Relu(x) }"
    )
    assert element_types(made) == {"x": T.FLOAT, "y": T.DOUBLE, "z": T.FLOAT}
