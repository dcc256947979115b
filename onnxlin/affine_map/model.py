"""A map as an ONNX model of its own: ``W x + b`` and nothing else."""

from __future__ import annotations

import json
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxlin.affine_map.protocol import Readable
from onnxlin.errors import OptionError
from onnxlin.primitives import Array, Shape

OPSET = 14  # the first whose Reshape takes sizes of 0
IR_VERSION = 7
LARGEST = 2**31 - 2**20  # bytes of W: protocol buffers end at 2 GiB

ABOUT = (
    "The affine map W x + b that a model is at one input x, made by onnxlin. It is the model at x "
    "and, where nothing in it is smooth, on the linear region of x."
)


class Draft:
    """A graph in the making, whose names are all different."""

    def __init__(self, taken: list[str]) -> None:
        self.taken = set(taken)
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []

    def fresh(self, name: str) -> str:
        """Return a name that is not taken, and take it."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def store(self, name: str, value: Array) -> str:
        """Store a constant."""
        made = self.fresh(name)
        self.stored.append(numpy_helper.from_array(value, made))
        return made

    def add(self, op_type: str, reads: list[str], makes: list[str], **attributes: Any) -> None:
        """Add a node."""
        name = self.fresh(f"{op_type}_{len(self.nodes)}")
        self.nodes.append(helper.make_node(op_type, reads, makes, name, **attributes))

    def reshape(self, source: str, shape: Shape, target: str) -> None:
        """Give a tensor another shape."""
        # Some runtimes do not know allowzero.
        zero = {"allowzero": 1} if 0 in shape else {}
        self.add("Reshape", [source, self.store("shape", np.array(shape, np.int64))], [target],
                 **zero)  # fmt: skip


def to_model(m: Readable) -> onnx.ModelProto:
    """Write a map as a model; see `AffineMap.to_onnx`."""
    if m.W.nbytes > LARGEST:
        raise OptionError(
            f"W of {len(m.W)} x {len(m.x)} has {m.W.nbytes / 2**30:.2f} GiB, and an ONNX file "
            "holds less than 2. Ask for fewer rows=, or use save()."
        )
    inputs, outputs = m.shapes
    draft = Draft(list(inputs))
    ends = {draft.fresh(name): shape for name, shape in _ends(m, outputs).items()}
    flat = [draft.fresh("flat") for _ in inputs]
    for name, made in zip(inputs, flat, strict=True):
        draft.reshape(name, (1, prod(inputs[name])), made)
    whole = flat[0]
    if len(flat) > 1:
        whole = draft.fresh("x")
        draft.add("Concat", flat, [whole], axis=1)
    rows = draft.fresh("rows")
    constants = [draft.store("W", m.W), draft.store("b", m.b.astype(m.dtype))]
    draft.add("Gemm", [whole, *constants], [rows], transB=1)
    _give(draft, rows, ends)
    return _model(m, draft, inputs, ends)


def has_all_rows(m: Readable) -> bool:
    """Whether a map's rows are the outputs themselves, all of them in order."""
    index = m.rows.index
    return index is not None and np.array_equal(index, np.arange(m.rows.size))


def _ends(m: Readable, outputs: dict[str, Shape]) -> dict[str, Shape]:
    return outputs if has_all_rows(m) else {"rows": (len(m.rows),)}


def _give(draft: Draft, rows: str, ends: dict[str, Shape]) -> None:
    """Cut the rows apart and give each part its shape."""
    parts = [rows]
    if len(ends) > 1:
        parts = [draft.fresh("part") for _ in ends]
        sizes = np.array([prod(shape) for shape in ends.values()], np.int64)
        draft.add("Split", [rows, draft.store("sizes", sizes)], parts, axis=1)
    for part, (name, shape) in zip(parts, ends.items(), strict=True):
        draft.reshape(part, shape, name)


def _model(
    m: Readable, draft: Draft, inputs: dict[str, Shape], ends: dict[str, Shape]
) -> onnx.ModelProto:
    kind = helper.np_dtype_to_tensor_dtype(m.dtype)
    given, made = (
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in named.items()]
        for named in (inputs, ends)
    )
    graph = helper.make_graph(draft.nodes, "affine_map", given, made, draft.stored)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="onnxlin",
        doc_string=ABOUT,
    )
    rows = None if m.rows.index is None else m.rows.index.tolist()
    about = {
        "format": "onnxlin.AffineMap",
        "mode": m.mode,
        "rounding": m.rounding,
        "notes": json.dumps(list(m.notes)),
        "outputs": json.dumps({name: list(shape) for name, shape in m.shapes[1].items()}),
        "rows": json.dumps("all" if has_all_rows(m) else rows),
        "residual": repr(float(np.max(m.residual, initial=0.0))),
    }
    helper.set_model_props(model, about)
    return model
