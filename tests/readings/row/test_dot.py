"""The drawing says what the program is, whatever the names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin import AffineMap, linearize
from onnxlin.readings import to_dot
from onnxlin.readings.row.dot import quoted
from onnxlin.testing import GrownModel, onnx_models
from onnxlin.texts import shown
from tests.small import X, mlp

LABEL = r'"((?:[^"\\]|\\.)*)"'
BOX = re.compile(rf"  (\w+) \[label={LABEL}(?:, \w+=\"[^\"]*\")*\];")
ARROW = re.compile(rf"  (\w+) -> (\w+)(?: \[label={LABEL}\])?;")


def plain(label: str) -> list[str]:
    """Read a label back: its lines."""
    lines, at = [""], 0
    while at < len(label):
        if label[at] == "\\":
            mark = label[at + 1]
            if mark == "n":
                lines.append("")
            else:
                assert mark in '\\"r'
                lines[-1] += "\r" if mark == "r" else mark
            at += 2
            continue
        lines[-1] += label[at]
        at += 1
    return [line.replace("&amp;", "&") for line in lines]


def parsed(text: str) -> tuple[dict[str, list[str]], list[tuple[str, str, list[str]]]]:
    """Boxes by id and arrows; every line must be understood."""
    head, *body, end, empty = text.split("\n")
    assert (head, end, empty) == ("digraph affine_map {", "}", "")
    boxes, arrows = {}, []
    for line in body[3:]:
        if found := ARROW.fullmatch(line):
            arrows.append((found[1], found[2], plain(found[3] or "")))
        else:
            found = BOX.fullmatch(line)
            assert found, line
            boxes[found[1]] = plain(found[2])
    return boxes, arrows


@given(onnx_models(), st.sampled_from(["tangent", "frozen"]))
def test_every_piece_is_drawn(grown: GrownModel, mode: str) -> None:
    """A box for each input, piece and output; an arrow for each tensor that a piece reads."""
    m = linearize(grown.model, grown.x, mode=mode)
    for exact in (False, True):
        boxes, arrows = parsed(to_dot(m, exact=exact))
        steps = [box for name, box in boxes.items() if name.startswith("step")]
        assert len(steps) == len(m.layers)
        for layer, box in zip(m.layers, steps, strict=True):
            assert box[:3] == [layer.op_type, layer.name, layer.status]
            count = int(re.search(r"nnz (?:<= )?([\d,]+)", box[3])[1].replace(",", ""))
            stored = sum(matrix.nnz for matrix in layer.terms.values())
            assert count == stored if exact else count >= stored
            assert ("with bias" in box[3]) == (layer.step.bias is not None)
        reads = sum(len(layer.terms) for layer in m.layers)
        ends = sum(right.startswith("output") for _, right, _ in arrows)
        assert len(arrows) == reads + ends
        assert {end for left, right, _ in arrows for end in (left, right)} <= set(boxes)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_name_can_be_read_back(lines: list[str]) -> None:
    label = quoted(lines)
    assert re.fullmatch(LABEL, label)
    assert plain(label[1:-1]) == ([shown(line) for line in lines] or [""])


def test_names_with_quotes_and_escapes_stay_what_they_are() -> None:
    proto = mlp()
    names = ['say "x"\\', "\\N & \\l <b>&lt;", "line\nline"]
    for node, name in zip(proto.graph.node, names, strict=True):
        node.name = name
    boxes, _ = parsed(to_dot(linearize(proto, X)))
    found = ["\n".join(boxes[f"step{i}"][1:-2]) for i in range(3)]
    assert found == [*names[:2], r"line\x0aline"]


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@given(onnx_models(max_nodes=4))
def test_graphviz_reads_it(grown: GrownModel) -> None:
    proto = onnx.ModelProto()
    proto.CopyFrom(grown.model)
    proto.graph.node[0].name = 'odd "name" \\ & {x|y} <z>\\'
    m = linearize(proto, grown.x)
    drawn = subprocess.run(
        ["dot", "-Tjson0"], input=to_dot(m), capture_output=True, text=True, check=True
    )
    assert not drawn.stderr
    found = json.loads(drawn.stdout)
    boxes, arrows = parsed(to_dot(m))
    assert {box["name"] for box in found["objects"]} == set(boxes)
    assert len(found.get("edges", [])) == len(arrows)


def test_a_loaded_map_has_no_program_to_draw(tmp_path) -> None:
    linearize(mlp(), X).save(tmp_path / "map.npz")
    with pytest.raises(onnxlin.DetachedError, match="layers needs the linear program"):
        to_dot(AffineMap.load(tmp_path / "map.npz"))


def test_an_output_that_no_piece_makes_stands_alone() -> None:
    x = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> g (float[2] x) => (float[2] y, float[2] k)'
        " <float[2] c = {1, 2}> { y = Relu(x)  k = Identity(c) }"
    )
    boxes, arrows = parsed(to_dot(linearize(x, np.ones(2))))
    assert boxes["output1"] == ["k", "2"]
    assert not [right for _, right, _ in arrows if right == "output1"]
