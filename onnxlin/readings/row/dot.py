"""The linear program as a drawing, in the DOT language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from onnxlin.affine_map import AffineMap
from onnxlin.affine_map.layer import Layer
from onnxlin.primitives import Shape
from onnxlin.texts import in_dot

FILL = {
    "exact": "#ffffff",
    "expanded": "#ffffff",
    "unrolled": "#ffffff",
    "constant": "#e8e8e8",
    "tangent": "#fde0c8",
    "frozen": "#d8e6f3",
    "straight-through": "#eadcf0",
    "random": "#eadcf0",
}
"""Colour of a box by the status of its piece."""


def to_dot(m: AffineMap, *, exact: bool = False) -> str:
    """Draw the pieces of a map: a box each, with operator, name, status, entries and bias.

    Parameters
    ----------
    m : AffineMap
    exact : bool
        Make the matrices and count their entries. By default ``nnz <=`` gives a bound, which needs
        no matrix.

    Returns
    -------
    str
        DOT text: ``dot -Tsvg`` draws it. Needs nothing else installed.

    Raises
    ------
    DetachedError
        The map was loaded from a file.
    """
    lines = [*_boxes(m, exact=exact)]
    return "\n".join(
        [
            "digraph affine_map {",
            '  graph [rankdir="TB"];',
            '  node [fontname="Helvetica", fontsize="10", shape="box", style="filled"];',
            '  edge [fontname="Helvetica", fontsize="8"];',
            *(f"  {line};" for line in lines),
            "}",
            "",
        ]
    )


def _boxes(m: AffineMap, *, exact: bool) -> Iterator[str]:
    """Boxes and arrows, in the order of the program."""
    inputs, outputs = m.shapes
    made: dict[str, str] = {}
    shapes: dict[str, Shape] = dict(inputs)
    for i, (name, shape) in enumerate(inputs.items()):
        made[name] = f"input{i}"
        yield _node(made[name], [name, _size(shape)], shape="ellipse", fillcolor="#dff0d8")
    for i, layer in enumerate(m.layers):
        box = f"step{i}"
        yield _node(box, _text(layer, exact=exact), fillcolor=FILL.get(layer.status, "#ffffff"))
        for name in dict.fromkeys(tensor for tensor, _ in layer.step.terms):
            yield f"{made[name]} -> {box} [label={quoted([name, _size(shapes[name])])}]"
        made[layer.output], shapes[layer.output] = box, layer.step.shape
    for i, (name, shape) in enumerate(outputs.items()):
        yield _node(f"output{i}", [name, _size(shape)], shape="ellipse", fillcolor="#fcf8e3")
        if name in made:
            yield f"{made[name]} -> output{i}"


def _text(layer: Layer, *, exact: bool) -> list[str]:
    if exact:
        entries = f"nnz {sum(matrix.nnz for matrix in layer.terms.values()):,}"
    else:
        entries = f"nnz <= {layer.step.nnz:,}"
    bias = "no bias" if layer.step.bias is None else "with bias"
    return [layer.op_type, layer.name, layer.status, f"{entries}, {bias}"]


def _size(shape: Shape) -> str:
    return " x ".join(map(str, shape)) if shape else "scalar"


def _node(name: str, lines: list[str], **attributes: str) -> str:
    more = "".join(f', {key}="{value}"' for key, value in attributes.items())
    return f"{name} [label={quoted(lines)}{more}]"


def quoted(lines: list[str]) -> str:
    """Quote lines of text as a label."""
    return '"' + "\\n".join(map(in_dot, lines)) + '"'
