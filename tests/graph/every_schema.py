"""Every operator of every version through what asks for types and ranks, in a process of its own.

``python -m tests.graph.every_schema`` prints the operator before each try, so that the last line
of a process that died names the culprit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, ValueInfoProto, helper

from onnxlin import OnnxlinError
from onnxlin.load import load
from onnxlin.operators.shaped import Ranks, settled_shapes

FLOAT = TensorProto.FLOAT
UNKNOWN = ["", "x", "q.Strange"]
"""How an operator may come to an input without a type: left out, not declared, of a stranger."""

DECLARED = {
    "without rank": helper.make_tensor_type_proto(FLOAT, None),
    "a scalar": helper.make_tensor_type_proto(FLOAT, []),
    "no entries": helper.make_tensor_type_proto(FLOAT, [0, 0, 0, 0]),
    "axes below 0": helper.make_tensor_type_proto(FLOAT, [-1, -3, -(2**63), -1]),
    "an image": helper.make_tensor_type_proto(FLOAT, [1, 2, 5, 5]),
    "integers": helper.make_tensor_type_proto(TensorProto.INT64, [2]),
    "text": helper.make_tensor_type_proto(TensorProto.STRING, [2]),
    "a sequence": helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None)),
    "an optional": helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, None)),
    "a map": helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(FLOAT, [])
    ),
}
NUMBERS = [0, -1, 2**31]


def attributes(schema: Any, number: int) -> Iterator[AttributeProto]:
    """Every attribute that is a number or several, set to this one; required ones in any case."""
    kinds = onnx.defs.OpSchema.AttrType
    tensor = helper.make_tensor("t", FLOAT, [1], [1.0])
    inner = helper.make_graph(
        [helper.make_node("Identity", ["i"], ["o"])],
        "g", [ValueInfoProto(name="i")], [ValueInfoProto(name="o")],
    )  # fmt: skip
    values: dict[Any, Any] = {
        kinds.INT: number,
        kinds.INTS: [number, number],
        kinds.FLOAT: 1.0,
        kinds.FLOATS: [1.0],
        kinds.STRING: "linear",
        kinds.STRINGS: ["a"],
        kinds.TENSOR: tensor,
        kinds.GRAPH: inner,
    }
    for name, formal in schema.attributes.items():
        if formal.type in values and (formal.required or formal.type in (kinds.INT, kinds.INTS)):
            yield helper.make_attribute(name, values[formal.type], attr_type=int(formal.type.value))


def models(schema: Any) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The operator with inputs of every kind, and what is left open or out in turn."""
    count = min(max(len(schema.inputs), 1), 8)
    strange = helper.make_node("Strange", ["f"], ["q.Strange"], domain="q")
    outputs = [f"y{i}" for i in range(min(max(len(schema.outputs), 1), 4))]
    for number in NUMBERS:
        kinds = DECLARED if number == 0 else {"an image": DECLARED["an image"]}
        for kind, proto in kinds.items():
            for open_at in (None, *range(count)):
                for how in UNKNOWN if open_at is not None else [""]:
                    names = [how if i == open_at else f"i{i}" for i in range(count)]
                    infos = [helper.make_value_info(n, proto) for n in names if n[:1] == "i"]
                    node = helper.make_node(schema.name, names, outputs, domain=schema.domain)
                    node.attribute.extend(attributes(schema, number))
                    graph = helper.make_graph(
                        [strange, node],
                        "g",
                        [*infos, ValueInfoProto(name="x"), helper.make_value_info("f", proto)],
                        [ValueInfoProto(name=outputs[0])],
                    )
                    versions = {"": 18, "q": 1, schema.domain: schema.since_version}
                    sets = [helper.make_opsetid(d, v) for d, v in versions.items()]
                    made = helper.make_model(graph, opset_imports=sets, ir_version=9)
                    yield f"{kind}, {number}, input {open_at}: {how!r}", made
                    if number or kind != "an image":
                        break


def main() -> None:
    """Try them all; what Python raises is left to raise."""
    tries = 0
    fed = {f"i{i}": np.ones((1, 2, 5, 5), np.float32) for i in range(8)}
    for schema in onnx.defs.get_all_schemas_with_history():
        for what, made in models(schema):
            print(schema.domain, schema.name, schema.since_version, what, flush=True)
            dict(Ranks(made))
            if tries % 5 == 0:
                settled_shapes(made, fed)
            tries += 1
        try:
            load(made)
        except OnnxlinError as error:
            assert str(error)  # noqa: PT017
    print(f"{tries} tries")


if __name__ == "__main__":
    sys.exit(main())
