"""What a model asks for, counted before anything is made of it: nodes, nesting, lengths of names.

A function that calls another one twice, which calls a third one twice, and so on, is a billion
nodes after thirty lines. So calls are counted, not opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx

from onnxlin import limits
from onnxlin.errors import ModelError
from onnxlin.graph.subgraphs import subgraphs
from onnxlin.graph.weights import MOST_INSIDE

Called = tuple[str, str]
"""Domain and name of a function."""


@dataclass(frozen=True)
class Size:
    """What nodes come to with all of their calls opened.

    Parameters
    ----------
    nodes : int
        Those in subgraphs among them; the calls are none any more.
    size : int
        Bytes of their protos.
    depth : int
        How deep subgraphs, and functions that call each other, lie in each other.
    """

    nodes: int
    size: int
    depth: int


@dataclass(frozen=True)
class _Nodes:
    """The nodes of a graph or function: its own, and those that call functions, with depths."""

    size: Size
    calls: tuple[tuple[Called, int], ...]


def hold_asked(model: onnx.ModelProto) -> Size:
    """Hold a model to the limits on nodes, nesting and names; return what it comes to.

    Raises
    ------
    LimitError
    ModelError
        A function calls itself, or the model with its functions opened is larger than any can be.
    """
    functions = {called_of(f.domain, f.name): f for f in model.functions}
    _hold_names(_ends(model.graph))
    own = _counted(model.graph.node, functions)
    found = _opened(own, _sizes(functions))
    limits.hold("nesting", found.depth, f"The model nests {found.depth} levels deep")
    what = f"{found.nodes:,}" if found.nodes < limits.ENDLESS else "more than 2^63"
    opened = " with its functions opened" if functions else ""
    limits.hold("nodes", found.nodes, f"The model comes to {what} nodes{opened}")
    if functions and found.size > MOST_INSIDE:
        raise ModelError(
            f"The model with its functions opened comes to {found.size:,} bytes, and none can be "
            f"larger than {MOST_INSIDE:,}. Hand large weights to the functions as initialisers."
        )
    return found


def called_of(domain: str, name: str) -> Called:
    """Name a function, or what a node calls."""
    return "" if domain == "ai.onnx" else domain, name


def _sizes(functions: Mapping[Called, onnx.FunctionProto]) -> dict[Called, Size]:
    """Size of each function with its calls opened: each is looked at once, and none recursively."""
    own: dict[Called, _Nodes] = {}
    left: dict[Called, Iterator[tuple[Called, int]]] = {}
    sizes: dict[Called, Size] = {}
    for name in functions:
        open_calls = dict.fromkeys([name])  # in order: each calls the next
        while open_calls:
            last = next(reversed(open_calls))
            if last not in own:
                _hold_names((*functions[last].input, *functions[last].output))
                own[last] = _counted(functions[last].node, functions)
                left[last] = iter(own[last].calls)
            waits = next((called for called, _ in left[last] if called not in sizes), None)
            if waits is None:
                sizes[last] = _opened(own[last], sizes)
                del open_calls[last]
            elif waits in open_calls:
                called = "::".join(waits)
                raise ModelError(f"Function {called!r} calls itself: it cannot be opened.")
            else:
                open_calls[waits] = None
    return sizes


def _opened(own: _Nodes, sizes: Mapping[Called, Size]) -> Size:
    nodes, size, depth = own.size.nodes, own.size.size, own.size.depth
    for called, at in own.calls:
        nodes += sizes[called].nodes
        size += sizes[called].size
        depth = max(depth, at + 1 + sizes[called].depth)
    return Size(min(nodes, limits.ENDLESS), min(size, limits.ENDLESS), depth)


def _counted(
    nodes: Iterable[onnx.NodeProto], functions: Mapping[Called, onnx.FunctionProto]
) -> _Nodes:
    """Count nodes, and those in their subgraphs, and note which call functions."""
    count, deepest, calls = 0, 0, list[tuple[Called, int]]()
    nodes = list(nodes)
    size = sum(node.ByteSize() for node in nodes) if functions else 0
    waiting: list[tuple[Sequence[onnx.NodeProto], int]] = [(nodes, 0)]
    while waiting:
        some, depth = waiting.pop()
        deepest, count = max(deepest, depth), count + len(some)
        limits.hold("nesting", depth, f"The model nests {depth} levels deep")
        for node in some:
            _hold_names((node.name, *node.input, *node.output))
            called = called_of(node.domain, node.op_type)
            if called in functions:
                calls.append((called, depth))
            for graph in subgraphs(node):
                _hold_names(_ends(graph))
                waiting.append((graph.node, depth + 1))
    return _Nodes(Size(count - len(calls), size, deepest), tuple(calls))


def _ends(graph: onnx.GraphProto) -> Iterator[str]:
    """Names that a graph gives beside those of its nodes."""
    for named in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield named.name


def _hold_names(names: Iterable[str]) -> None:
    longest = max(names, key=len, default="")
    # No character takes more than 4 bytes: most names need no counting.
    if len(longest) * 4 > limits.current().name_bytes:
        text = isinstance(longest, str)  # what is not UTF-8 comes as bytes
        size = len(longest.encode("utf-8", "surrogatepass") if text else longest)
        limits.hold("name_bytes", size, f"The name {longest[:40]!r}... is {size:,} bytes long")
