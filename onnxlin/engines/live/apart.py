"""Convolutions of a Concat taken apart: one for each of its inputs, which need not be put together.

What a Concat makes is as large as all that it reads, and cotangents of it would be written and read
once more for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from onnxlin.engines.live.links import Link, Term
from onnxlin.primitives import Adjoint, Conv, Crop, LinearMap

CHANNELS = 1


@dataclass(frozen=True)
class Part:
    """Channels of a tensor that are another tensor.

    Parameters
    ----------
    name : str
        Of the other.
    start, size : int
    """

    name: str
    start: int
    size: int


def apart(chain: Sequence[Link]) -> list[Link]:
    """Have convolutions read the inputs of a Concat of channels in its place."""
    parts: dict[str, list[Part]] = {}
    found = []
    for link in chain:
        terms = tuple(term for name, op in link.terms for term in _of_parts(name, op, parts))
        found.append(replace(link, terms=terms))
        own = _parts(link)
        if own:
            # What one of them consists of takes its place.
            parts[link.output] = [
                replace(inner, start=part.start + inner.start)
                for part in own
                for inner in parts.get(part.name, [Part(part.name, 0, part.size)])
            ]
    return found


def _parts(link: Link) -> list[Part]:
    """The tensors that lie side by side in one; none where it is anything else."""
    found = []
    for name, op in link.terms:
        crop = op.base if isinstance(op, Adjoint) else None
        if not isinstance(crop, Crop) or link.bias is not None or len(link.shape) < 3:
            return []
        start, size = crop.start[CHANNELS], crop.out_shape[CHANNELS]
        whole = Crop.along(link.shape, CHANNELS, start, size)
        if (crop.out_shape, crop.start, crop.step) != (whole.out_shape, whole.start, whole.step):
            return []
        found.append(Part(name, start, size))
    return found


def _of_parts(name: str, op: LinearMap, parts: dict[str, list[Part]]) -> Iterator[Term]:
    if not isinstance(op, Conv) or op.group > 1 or name not in parts:
        yield name, op
        return
    for part in parts[name]:
        n, _, *space = op.in_shape
        kernel = op.weight[:, part.start : part.start + part.size]
        yield part.name, replace(op, in_shape=(n, part.size, *space), weight=kernel)
