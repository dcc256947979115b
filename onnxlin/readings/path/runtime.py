"""What the runtime itself has on a path: runs at points of it, and all that no longer moves.

Where nothing moves any more, behind the first rounding of a quantised graph say, what follows is
what the model's own nodes make of the tensors that jump: in one run, and to the last bit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from onnxlin.errors import ModelError
from onnxlin.graph import Array, Graph, Node, is_float
from onnxlin.graph.tensors import array_info
from onnxlin.runtime.opened import Session, run, session

Native = Callable[[float], Mapping[str, Any]]
"""The tensors of a run of the model at a parameter of a segment."""

# Runs that are kept: the nodes of one cell ask at one point.
RECENT = 4


class Runs:
    """Runs of the model at points of a segment.

    Parameters
    ----------
    trace : callable
        Flat inputs, as the model's own numbers, to all tensors of the run.
    first, last : array (columns,)
    """

    def __init__(
        self, trace: Callable[[Array], Mapping[str, Any]], first: Array, last: Array
    ) -> None:
        self._trace, self._first, self._last = trace, first, last
        self._recent: OrderedDict[float, Mapping[str, Any]] = OrderedDict()

    def __call__(self, t: float) -> Mapping[str, Any]:
        """All tensors at a parameter."""
        if t not in self._recent:
            self._recent[t] = self._trace(self._first + t * (self._last - self._first))
            if len(self._recent) > RECENT:
                self._recent.popitem(last=False)
        return self._recent[t]


class Rest:
    """The nodes from one on to the outputs, where none of them reads what moves.

    Parameters
    ----------
    graph : Graph
    nodes : sequence of Node
    fixed : mapping
        Tensors that no move changes.
    outputs : sequence of str
    """

    def __init__(
        self,
        graph: Graph,
        nodes: Sequence[Node],
        fixed: Mapping[str, Any],
        outputs: Sequence[str],
    ) -> None:
        self._graph = graph
        made = {name for node in nodes for name in node.writes}
        self._protos = [p for p in graph.model.graph.node if any(o in made for o in p.output)]
        read = {name for node in nodes for name in node.reads} - made
        known = {**graph.initialisers, **fixed}
        plain = {n for p in self._protos for n in p.input if n} - made
        self.reads = sorted(n for n in read | plain if n not in known)
        self._stored = {n: known[n] for n in read | plain if n in known}
        self.outputs = [name for name in outputs if name in made]
        self._sessions: dict[Any, Session | None] = {}

    def __call__(self, held: Mapping[str, Any]) -> dict[str, Any] | None:
        """Run them on what is held: ``{output: value}``; None where they do not run by themselves.

        Raises
        ------
        TraceError
        """
        if any(name not in held for name in self.reads):
            return None
        own = {name: self._own(name, held[name]) for name in self.reads}
        feeds = {name: value for name, value in own.items() if value is not None}
        if len(feeds) < len(own):
            return None
        key = tuple((v.shape, v.dtype) for v in feeds.values())
        if key not in self._sessions:
            self._sessions[key] = self._opened(feeds)
        ready = self._sessions[key]
        return None if ready is None else run(ready, self.outputs, feeds)

    def _own(self, name: str, value: Any) -> Array | None:
        """Bring floats back to the type that the model has them in."""
        if not isinstance(value, np.ndarray):
            return None
        kind = self._graph.elem_types.get(name, 0)
        if not kind:
            return None if is_float(value.dtype) else value
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
        return np.ascontiguousarray(value.astype(dtype, copy=False))

    def _opened(self, feeds: Mapping[str, Array]) -> Session | None:
        helper, graph = onnx.helper, self._graph
        own = [t for t in graph.model.graph.initializer if t.name in self._stored]
        beside = set(self._stored) - {t.name for t in own}
        arrays = ((n, self._stored[n]) for n in sorted(beside))
        made = [onnx.numpy_helper.from_array(v, n) for n, v in arrays if isinstance(v, np.ndarray)]
        try:
            body = helper.make_graph(
                self._protos,
                "rest",
                [array_info(name, value) for name, value in feeds.items()],
                [onnx.ValueInfoProto(name=name) for name in self.outputs],
                [*own, *made],
            )
            imports = list(graph.model.opset_import)
            version = max(graph.model.ir_version, 4)
            model = helper.make_model(body, opset_imports=imports, ir_version=version)
            return session(model, graph.initialisers)
        except (ModelError, ValueError, TypeError):
            return None  # they are run one by one
