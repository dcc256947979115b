"""Nothing of an old form remains, and what the newest form cannot say is refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxlin.errors import UnsupportedNodeError
from onnxlin.load.normalise import FORMS, Context, Draft, normalise, to_proto
from tests.load.normalise.old_forms import (
    PER_CHANNEL,
    X,
    assert_equal,
    draft_of,
    floats,
    newest,
    run,
)


def test_modes_of_training() -> None:
    want = run(
        [helper.make_node("BatchNormalization", ["x", *"sbmv"], ["y"])], 15, {"x": X}, PER_CHANNEL
    )
    assert_equal(want, newest("BatchNormalization", 6, {"x": X}, PER_CHANNEL, is_test=1))
    names = ("y", "mean", "var", "a", "b")
    drafts = [
        draft_of("BatchNormalization", 6, {"x": X}, PER_CHANNEL, names[:n], is_test=test)
        for n, test in ((5, 1), (3, 0))
    ]
    test_mode, training = (normalise(*pair)[0] for pair in drafts)
    assert (test_mode.outputs, test_mode.attributes) == (["y"], {})
    assert (training.outputs, training.attributes) == (list(names[:3]), {"training_mode": 1})
    assert_equal([X], newest("Dropout", 6, {"x": X}, is_test=1))
    draft, context = draft_of("Dropout", 6, {"x": X}, {}, ("y",), ratio=0.25)
    normalise(draft, context)
    ratio, training_mode = (context.constants[name] for name in draft.inputs[1:])
    assert (float(ratio), bool(training_mode)) == (0.25, True)


def test_defaults_that_changed() -> None:
    for op_type, opset, expected in (
        ("Selu", 1, {"alpha": 1.6732, "gamma": 1.0507}),
        ("RoiAlign", 10, {"coordinate_transformation_mode": "output_half_pixel"}),
        ("GridSample", 16, {"mode": "linear"}),
        ("GRU", 1, {"direction": "forward"}),
        ("Concat", 1, {"axis": 1}),
    ):
        draft, context = draft_of(op_type, opset, {"x": X, "g": X, "h": X}, {}, ("y",))
        assert normalise(draft, context)[-1].attributes == expected
    backward, context = draft_of("GRU", 1, {"x": X}, {}, ("y",), direction="reverse")
    assert normalise(backward, context)[-1].attributes == {"direction": "reverse"}


def test_ranks_are_carried_through_schemas_without_shape_inference() -> None:
    context = Context({"slope": floats(3)}, {"x": 4})
    normalise(Draft("first", "Relu", "", ["x"], ["z"], {}, 1), context)
    draft = Draft("second", "PRelu", "", ["z", "slope"], ["y"], {}, 1)
    normalise(draft, context)
    assert context.constants[draft.inputs[1]].shape == (3, 1, 1)


def test_constants_made_by_nodes_are_known() -> None:
    context = Context({}, {"x": 4})
    scales = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32))
    normalise(Draft("c", "Constant", "", [], ["scales"], {"value": scales}, 9), context)
    (resize,) = normalise(Draft("r", "Resize", "", ["x", "scales"], ["y"], {}, 10), context)
    assert resize.inputs == ["x", "", "scales"]
    assert resize.attributes["nearest_mode"] == "floor"
    assert context.constants == {}


def test_other_domains_are_left_alone_and_names_are_fresh() -> None:
    draft = Draft("n", "Clip", "com.example", ["x"], ["y"], {"min": 0.0}, 1)
    context = Context({"n:min~0": floats(1)}, {})
    assert normalise(draft, context) == [draft]
    assert draft.attributes == {"min": 0.0}
    experimental = Draft("n", "ImageScaler", "", ["x"], ["y"], {"scale": 2.0}, 1)
    assert normalise(experimental, context) == [experimental]
    standard = Draft("n", "Clip", "", ["x"], ["y"], {"min": 0.0}, 6)
    normalise(standard, context)
    assert standard.inputs == ["x", "n:min~1"]


# The laws that hold for every operator and version, found from the schemas.

SCHEMAS: defaultdict[str, list[onnx.defs.OpSchema]] = defaultdict(list)
for _schema in onnx.defs.get_all_schemas_with_history():
    if _schema.domain == "" and not _schema.deprecated:
        SCHEMAS[_schema.name].append(_schema)

TENSOR = onnx.numpy_helper.from_array(np.ones(1, np.float32))
INDEX = onnx.numpy_helper.from_array(np.zeros(1, np.int64))
SAMPLES = {
    "FLOAT": 1.0,
    "INT": 1,
    "STRING": "a",
    "FLOATS": [1.0],
    "INTS": [1],
    "STRINGS": ["a"],
    "TENSOR": TENSOR,
    "SPARSE_TENSOR": helper.make_sparse_tensor(TENSOR, INDEX, [1]),
    "TYPE_PROTO": helper.make_tensor_type_proto(1, [1]),
    "GRAPH": helper.make_graph([], "body", [], []),
}
SPECIAL = {("Cast", "to", "STRING"): "FLOAT", ("Resize", "nearest_mode", "STRING"): "floor"}


def sample(op_type: str, name: str, attribute: Any) -> Any:
    """Some value of the attribute's type, the default where there is one."""
    kind = str(attribute.type).split(".")[-1]
    if attribute.default_value.name:
        value = helper.get_attribute_value(attribute.default_value)
        return value.decode() if isinstance(value, bytes) else value
    if (op_type, name, kind) in SPECIAL:
        return SPECIAL[op_type, name, kind]
    return SAMPLES[kind]


def schema_draft(schema: Any, full: bool) -> tuple[Draft, Context]:
    """A draft with all attributes of a schema, or only those that it requires."""
    attributes = {
        name: sample(schema.name, name, a)
        for name, a in schema.attributes.items()
        if full or a.required
    }
    inputs = [f"in{i}" for i in range(schema.min_input)]
    outputs = [f"out{i}" for i in range(max(schema.min_output, 1))]
    constants = {n: np.array(1) for n in inputs[1:]} if schema.name == "Tile" else {}
    context = Context(constants, {"in0": 4} | dict.fromkeys(inputs[1:], 1))
    draft = Draft("n", schema.name, "", inputs, outputs, attributes, schema.since_version)
    return draft, context


def outdated(draft: Draft) -> set[str]:
    """What the newest schema of the operator does not have, or requires and does not find."""
    schema = onnx.defs.get_schema(draft.op_type)
    wrong = set(draft.attributes) - set(schema.attributes)
    wrong |= {n for n, a in schema.attributes.items() if a.required} - set(draft.attributes)
    if schema.deprecated:
        wrong.add(draft.op_type)
    if not schema.min_input <= len(draft.inputs) <= schema.max_input:
        wrong.add("inputs")
    return wrong or ill_typed(draft)


def ill_typed(draft: Draft) -> set[str]:
    """The operator, if an attribute is of another type than the newest schema wants."""
    try:
        to_proto(draft)
    except TypeError:
        return {draft.op_type}
    return set()


def histories() -> Iterator[tuple[Any, bool]]:
    for _, schemas in sorted(SCHEMAS.items()):
        yield from ((schema, full) for schema in schemas for full in (False, True))


REFUSED = {
    ("LpPool", 1, False),  # no kernel_shape
    ("Reshape", 1, False),  # no shape
    ("Scan", 8, False),  # batched
    ("Scan", 8, True),
    ("Split", 1, False),  # no axis
}


def test_nothing_of_an_old_form_remains() -> None:
    found, refused = {}, set()
    for schema, full in histories():
        key = (schema.name, schema.since_version, full)
        try:
            drafts = normalise(*schema_draft(schema, full))
        except UnsupportedNodeError:
            refused.add(key)
            continue
        found[key] = set().union(*(outdated(draft) for draft in drafts))
        assert all(d.version == onnx.defs.get_schema(d.op_type).since_version for d in drafts)
    assert {key: wrong for key, wrong in found.items() if wrong} == {}
    assert refused == REFUSED
    assert len(found) > 800


def test_a_missing_form_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMS, "Squeeze", [])
    squeeze = next(s for s in SCHEMAS["Squeeze"] if s.since_version == 1)
    (draft,) = normalise(*schema_draft(squeeze, True))
    assert outdated(draft) == {"axes"}


def test_a_wrong_type_is_found() -> None:
    (draft,) = normalise(
        Draft("n", "GlobalLpPool", "", ["x"], ["y"], {"p": 2.0}, 2), Context({}, {})
    )
    assert outdated(draft) == {"GlobalLpPool"}


def test_no_two_forms_compete() -> None:
    assert all(len({v for v, _ in forms}) == len(forms) for forms in FORMS.values())


def defaults(schema: Any) -> dict[str, Any]:
    given_ = {n: a.default_value for n, a in schema.attributes.items()}
    return {n: helper.get_attribute_value(v) for n, v in given_.items() if v.name}


def test_a_default_that_changed_is_written_out() -> None:
    silent = set()
    for schema, full in histories():
        if full or (schema.name, schema.since_version, full) in REFUSED:
            continue
        now = defaults(onnx.defs.get_schema(schema.name))
        before = defaults(schema)
        changed = {n for n in before.keys() & now.keys() if before[n] != now[n]}
        written = {n for d in normalise(*schema_draft(schema, full)) for n in d.attributes}
        silent |= {(schema.name, schema.since_version, n) for n in changed - written}
    assert silent == set()


@pytest.mark.parametrize(
    ("op_type", "opset", "attributes", "outputs", "words"),
    [
        ("Add", 6, {"broadcast": 1, "axis": 1}, ("y",), "static shapes"),
        ("Tile", 1, {}, ("y",), "rank"),
        ("Reshape", 1, {}, ("y",), "shape is missing"),
        ("Split", 1, {}, ("y",), "axis is missing"),
        ("LpPool", 1, {}, ("y",), "kernel_shape"),
        ("GlobalLpPool", 1, {"p": 2.5}, ("y",), "2.5 is not a whole number"),
        ("Cast", 1, {"to": "COMPLEX"}, ("y",), "to='COMPLEX' names no element type"),
        ("Scan", 8, {}, ("y",), "opset 9"),
        ("BatchNormalization", 9, {}, ("y", "m", "v", "sm", "sv"), "evaluation mode"),
        (
            "Resize",
            11,
            {"coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "ceil"},
            ("y",),
            "nearest_mode='floor'",
        ),
    ],
)
def test_what_cannot_be_said_is_refused(
    op_type: str, opset: int, attributes: dict[str, Any], outputs: tuple[str, ...], words: str
) -> None:
    version = onnx.defs.get_schema(op_type, opset).since_version
    inputs = ["x", "a", "b"]
    draft = Draft("layer3", op_type, "", inputs, list(outputs), dict(attributes), version)
    with pytest.raises(UnsupportedNodeError, match=words) as caught:
        normalise(draft, Context({}, {}))
    assert f"'layer3' ({op_type}, schema version {version})" in str(caught.value)


def test_refusals_that_need_ranks_or_constants() -> None:
    ranks = {"x": 4} | dict.fromkeys("sbmv", 3)
    per_entry = Draft("n", "BatchNormalization", "", ["x", *"sbmv"], ["y", "m2"], {"spatial": 0}, 7)
    with pytest.raises(UnsupportedNodeError, match="spatial=0 in training mode"):
        normalise(per_entry, Context({}, ranks))
    tile = Draft("n", "Tile", "", ["x", "tiles", "axis"], ["y"], {}, 1)
    with pytest.raises(UnsupportedNodeError, match=r"input 2 \('axis'\) is not a constant"):
        normalise(tile, Context({}, ranks))


def test_to_proto_writes_empty_lists_and_floats_given_as_integers() -> None:
    node = to_proto(Draft("n", "LeakyRelu", "", ["x", ""], ["y"], {"alpha": 1}, 16))
    assert node.attribute[0].f == 1.0
    assert list(node.input) == ["x"]
    empty = to_proto(Draft("n", "Mine", "my.domain", ["x"], ["y"], {"axes": []}, 1))
    assert empty.attribute[0].type == onnx.AttributeProto.INTS
    assert to_proto(Draft("n", "Constant", "", [], ["y"], {"value_floats": []}, 13)).IsInitialized()
