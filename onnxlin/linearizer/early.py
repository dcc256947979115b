"""Whether the model and one run of it fit the budget, known from shapes before anything is run."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import onnx

from onnxlin.engines.memory import PIECES, WORTH_IT, enough, mib
from onnxlin.errors import MemoryBudgetError
from onnxlin.graph import Array
from onnxlin.operators.shaped import settled_shapes
from onnxlin.section import Section


def tensor_bytes(section: Section, feeds: Mapping[str, Array]) -> int:
    """Bytes of the tensors that a run at x keeps, as far as shapes tell: never more than it does.

    Parameters
    ----------
    feeds : {input name: array}
        Of x; only their shapes and dtypes matter, where no shape is computed from values.
    """
    return run_sizes(section, feeds)[0]


def run_sizes(section: Section, feeds: Mapping[str, Array]) -> tuple[int, int]:
    """Bytes as `tensor_bytes` has them, and entries of the outputs, as far as shapes tell."""
    graph = section.graph
    shapes = settled_shapes(graph.model, feeds)
    kept = (section.touched & section.varying) - set(graph.initialisers)
    known = (n for n in kept if n in shapes)
    entries = sum(prod(shapes[n]) for n in section.outputs if n in shapes)
    return sum(prod(shapes[n]) * _itemsize(graph.elem_types.get(n)) for n in known), entries


def _itemsize(elem_type: Any) -> int:
    """Bytes of an entry; 1 where nobody says."""
    known = elem_type and elem_type != onnx.TensorProto.STRING
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(elem_type)).itemsize if known else 1


def hold_run(weight: int, tensors: int, memory: int, *, pieces: bool = True) -> None:
    """Refuse what does not fit before a row of W is asked for.

    What is so small that nobody misses it is left to be refused where W is, in full.

    Parameters
    ----------
    pieces : bool
        Whether the nodes' pieces are made, and not written into a graph.

    Raises
    ------
    MemoryBudgetError
    """
    need = weight + int(tensors * (1 + PIECES * pieces))
    if need > max(memory, WORTH_IT):
        run = "its run with their pieces" if pieces else "its run"
        raise MemoryBudgetError(
            f"The model's weights ({mib(weight)}) and the tensors of {run} ({mib(need - weight)}) "
            f"need about {mib(need)} before any row of W; memory={mib(memory)}. Give a smaller x, "
            f"or raise memory= to {enough(need)} and more.",
            need,
        )
