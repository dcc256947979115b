"""What a decoder keeps from one step to the next: keys and values of the tokens before.

They come in as inputs (`past_key_values.*`), and leave with those of the new tokens behind them
(`present.*`). Exporters may leave either without such a name; what becomes of them tells, too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from onnxlin.graph import Graph, Node
from onnxlin.operators import lookups as ops
from onnxlin.operators.families import COPIES, LAYOUT, MATRIX_PRODUCTS
from onnxlin.operators.masks import readers_of
from onnxlin.operators.squashing import ONE_GROUP

_PAST = re.compile(
    r"past[_.]?(?:key|kv|value(?!s)|state|self|cross|conv|\d)|^past$|cache", re.IGNORECASE
)
_PRESENT = re.compile(r"(?<![a-z])presents?(?![a-z])", re.IGNORECASE)

Readers = dict[str, list[Node]]


def caches(graph: Graph) -> list[str]:
    """Find the inputs that are caches: by their names, and as what is new is put behind them."""
    named = [name for name, kind in graph.inputs.items() if kind.is_float and _PAST.search(name)]
    if not named:
        return []
    moving = graph.moved_by(name for name in graph.inputs if name not in named)
    readers = readers_of(graph)
    return [
        name
        for name in named
        if any(
            node.op_type in ops.PAST | ops.WEIGHS and not moving.isdisjoint(node.reads)
            for _, node in _uses(readers, name, ops.CARRIES)
        )
    ]


def presents(graph: Graph, outputs: Sequence[str]) -> tuple[str, ...]:
    """Find the outputs that are caches for the next step.

    By their names; as an operator of attention makes them, or caches that come in have become them;
    or as they go, with their heads apart, into the scores of a softmax or are weighed by one.
    """
    readers = readers_of(graph)
    kept = {name for name in outputs if _PRESENT.search(name) or _PAST.search(name)}
    kept |= {out for node in graph.nodes for out in ops.kept_by(node)}
    kept |= {out for name in caches(graph) for out in _became(readers, name)}
    apart = {o.name for o in graph.model.graph.output if len(o.type.tensor_type.shape.dim) == 4}
    kept |= {name for name in apart - kept if _is_attended(graph, readers, name)}
    return tuple(name for name in outputs if name in kept)


def _became(readers: Readers, cache: str) -> set[str]:
    """A cache, what moves its entries, and what puts more of them behind these."""
    moved = {cache}
    for _, node in _uses(readers, cache, COPIES | ops.GROWS):
        moved.update(node.writes if node.op_type in COPIES | ops.GROWS else ())
    return moved


def _is_attended(graph: Graph, readers: Readers, name: str) -> bool:
    """Whether a tensor is the second factor of a product that a softmax follows, or weighs."""
    for tensor, node in _uses(readers, name, COPIES):
        if node.op_type in MATRIX_PRODUCTS and tensor == node.inputs[1]:
            weights = node.inputs[0]
            while (maker := graph.producer.get(weights)) and maker.op_type in LAYOUT:
                weights = maker.inputs[0]
            after = (n.op_type for _, n in _uses(readers, node.outputs[0], ops.CARRIES))
            if (maker and maker.op_type in ONE_GROUP) or not ONE_GROUP.isdisjoint(after):
                return True
    return False


def _uses(readers: Readers, name: str, through: Collection[str]) -> Iterator[tuple[str, Node]]:
    """Nodes that read a tensor, or what some operators make of it, with what they read."""
    seen, waiting = {name}, [name]
    while waiting:
        tensor = waiting.pop()
        for node in readers.get(tensor, ()):
            yield tensor, node
            if node.op_type in through:
                waiting += [out for out in node.writes if out not in seen]
                seen.update(node.writes)
