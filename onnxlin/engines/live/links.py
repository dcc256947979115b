"""A program taken apart into single maps: chains become tensors of their own, sums become terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnxlin.primitives import Adjoint, Array, Chain, LinearMap, Shape, Sum
from onnxlin.program import LinearProgram

Term = tuple[str, LinearMap]


@dataclass(frozen=True, eq=False)
class Link:
    """``output = sum of maps(tensors) + bias``, in which no map is made of maps.

    Parameters
    ----------
    node : str
        Name of the node whose ledger the bias belongs to.
    output : str
    shape : tuple of int
    terms : tuple of (tensor name, LinearMap)
    bias : array or None
    others : tuple of (node, array of the shape)
        Biases of nodes before that were pushed on to here.
    """

    node: str
    output: str
    shape: Shape
    terms: tuple[Term, ...]
    bias: Array | None = None
    others: tuple[tuple[str, Array], ...] = ()

    @property
    def charges(self) -> tuple[tuple[str, Array], ...]:
        """Every bias that is added here, with the node whose ledger it belongs to."""
        return self.others if self.bias is None else ((self.node, self.bias), *self.others)


def links(program: LinearProgram) -> list[Link]:
    """Take every step of a program apart, in order."""
    found: list[Link] = []
    for step in program.steps:
        terms: list[Term] = []
        for name, op in step.terms:
            terms += _opened(name, op, f"{step.output}/{len(terms)}", found)
        found.append(Link(step.node.name, step.output, step.shape, tuple(terms), step.bias))
    return found


def _opened(name: str, op: LinearMap, prefix: str, found: list[Link]) -> Iterator[Term]:
    """Single maps that make what one map makes; links for what lies on the way are put before."""
    if isinstance(op, Sum):
        for i, part in enumerate(op.maps):
            yield from _opened(name, part, f"{prefix}/{i}", found)
    elif isinstance(op, Chain):
        *before, last = op.maps
        for i, part in enumerate(before):
            inner = f"{prefix}/{i}/"  # no tensor's name ends so: onnxlin made none that does
            terms = tuple(_opened(name, part, inner, found))
            found.append(Link("", inner, part.out_shape, terms))
            name = inner
        yield from _opened(name, last, f"{prefix}/{len(before)}", found)
    elif isinstance(op, Adjoint) and isinstance(op.base, Adjoint):
        yield from _opened(name, op.base.base, prefix, found)
    else:
        yield name, op
