"""Nodes in an order in which they run, each under a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

import onnx

from onnxlin.errors import ModelError
from onnxlin.graph.subgraphs import reads


def sort(graph: onnx.GraphProto) -> None:
    """Order the nodes so that each comes after those that it reads; keep the order if it is.

    Every node and every tensor is looked at once, whatever order the file has them in.

    Raises
    ------
    ModelError
        The nodes form a cycle, or one tensor is made twice.
    """
    nodes = list(graph.node)
    order = _order(nodes)
    if order == list(range(len(nodes))):
        return
    copies = [onnx.NodeProto.FromString(nodes[i].SerializeToString()) for i in order]
    del graph.node[:]
    graph.node.extend(copies)


def _order(nodes: Sequence[onnx.NodeProto]) -> list[int]:
    """Places of the nodes in the order in which they run: the first that can, wherever it stands.

    A node that waits goes right behind the last of those that it waited for.
    """
    makers = _makers(nodes)
    needs = [{makers[name] for name in reads(node) if name in makers} for node in nodes]
    waits, readers = [len(own) for own in needs], [list[int]() for _ in nodes]
    for i, own in enumerate(needs):
        for maker in own:
            readers[maker].append(i)
    order, done = list[int](), [False] * len(nodes)
    for first in range(len(nodes)):
        ready = [first] if not waits[first] and not done[first] else []
        while ready:
            i = ready.pop()
            done[i] = True
            order.append(i)
            for reader in readers[i]:
                waits[reader] -= 1
            # A later reader has its turn when the file comes to it.
            ready += [reader for reader in reversed(readers[i]) if reader < first
                      and not waits[reader] and not done[reader]]  # fmt: skip
    if len(order) < len(nodes):
        left = (i for i, ran in enumerate(done) if not ran)
        names = ", ".join(_called(nodes[i]) for i in islice(left, 5))
        raise ModelError(f"The nodes form a cycle, or read what comes of one: {names}.")
    return order


def _makers(nodes: Sequence[onnx.NodeProto]) -> dict[str, int]:
    """Which node makes each tensor: one, or the model is none."""
    found: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for name in node.output:
            if name and found.setdefault(name, i) != i:
                both = f"{_called(nodes[found[name]])} and {_called(node)}"
                raise ModelError(f"Tensor {name!r} is made twice, by nodes {both}.")
    return found


def _called(node: onnx.NodeProto) -> str:
    return repr(node.name or next(iter(node.output), ""))


def name_nodes(nodes: Sequence[onnx.NodeProto]) -> None:
    """Make every node's name its own: onnxruntime refuses doubles, and maps are keyed by it.

    A node without a name is called after its operator and first output.
    """
    counts = Counter(node.name for node in nodes)
    taken, doubles = set(counts), Counter[str]()
    for node in nodes:
        if not node.name or counts[node.name] > 1:
            first = next((o for o in node.output if o), "")
            base = name = f"{node.name or node.op_type}:{first}"
            while name in taken:
                doubles[base] += 1
                # Numbers, once a few marks are not enough: so names stay short.
                times = doubles[base]
                name = base + "'" * times if times < 4 else f"{base}'{times}"
            taken.add(name)
            node.name = name
