"""An instance to compile at: what a caller gives, or one made up from the input shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from onnxlin import limits
from onnxlin.errors import InputError, LimitError, OptionError
from onnxlin.graph import Array, TensorType
from onnxlin.section import Section
from onnxlin.section.feeds import Instance, completed, make_feeds

Shapes = Mapping[str, Sequence[int]]


def example_feeds(section: Section, x: Instance | None, shapes: Shapes | None) -> dict[str, Array]:
    """Return the feeds of an instance.

    Parameters
    ----------
    x : array, or {input name: array}, optional
    shapes : {input name: shape}, optional
        Of inputs whose shape the model leaves open; without x.

    Raises
    ------
    InputError
        A shape is open and not given, or does not fit.
    """
    kinds = section.graph.inputs
    held = set(kinds) - set(section.inputs)
    if x is not None:
        if shapes is not None:
            raise OptionError("x= has shapes of its own: leave out shapes=, or x=.")
        return make_feeds(completed(x, section.graph), kinds, held)
    return make_feeds(_drawn(kinds, shapes or {}), kinds, held)


def _drawn(kinds: Mapping[str, TensorType], shapes: Shapes) -> dict[str, Array]:
    unknown = [name for name in shapes if name not in kinds]
    if unknown:
        raise InputError(
            f"shapes= names {unknown}, which are no inputs of the model; it has {list(kinds)}."
        )
    still = {n: kind for n, kind in kinds.items() if n not in shapes and _is_open(kind)}
    if still:
        listed = ", ".join(f"{name!r}: {kind}" for name, kind in still.items())
        raise InputError(
            f"A graph is compiled for fixed shapes, and the model leaves some open: {{{listed}}}. "
            "Say them with shapes={name: (1, 3, ...)} (--shape name=1,3,...), or give an instance "
            "as x=."
        )
    rng = np.random.default_rng(0)
    return {name: _made(rng, name, kind, shapes.get(name)) for name, kind in kinds.items()}


def _made(
    rng: np.random.Generator, name: str, kind: TensorType, shape: Sequence[int] | None
) -> Array:
    """Make one input up, if it is not larger than a model may ask for."""
    size = [n for n in kind.shape or () if isinstance(n, int)] if shape is None else list(shape)
    what = f"Input {name!r} is of shape {size}: {prod(size):,} entries would have to be made up"
    limits.hold("entries", prod(size), what)
    try:
        return _fill(rng, kind, size)
    except (MemoryError, ValueError) as error:  # NumPy has no shape of 2^62 and 0 either
        raise LimitError(f"{what}, and do not fit into the memory there is.") from error


def opened_shapes(section: Section, length: int) -> dict[str, list[int]]:
    """Make up shapes for the inputs that leave axes open: 1 for a first axis, else ``length``."""
    return {
        name: [
            n if isinstance(n, int) else length if i else min(length, 1)
            for i, n in enumerate(kind.shape)
        ]
        for name, kind in section.graph.inputs.items()
        if kind.shape is not None and _is_open(kind)
    }


def _is_open(kind: TensorType) -> bool:
    """Whether a tensor's shape is not known in full."""
    if not kind.elem_type:
        return False
    return kind.shape is None or not all(isinstance(n, int) for n in kind.shape)


def _fill(rng: np.random.Generator, kind: TensorType, size: Sequence[int]) -> Array:
    """Draw floats between 0 and 1; whole numbers are 0, which as an index exists."""
    if not kind.elem_type:
        return np.zeros(size)
    if kind.is_float:
        return rng.random(size).astype(kind.dtype)
    return np.full(size, "") if kind.dtype == object else np.zeros(size, kind.dtype)
