"""One step of a program applied, all of them forth, and all of them back: whoever sweeps, by this.

A sweep reads very little of a step: which tensor it makes, and by which maps of which others. So
what is swept may be steps of a program, pieces of many cells at once, or a graph in the making;
what travels may be stacks of arrays, matrices, or marks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import chain
from operator import add
from typing import Any, Protocol, TypeVar

import numpy as np

from onnxlin.primitives import Array, LinearMap, Shape


class Link(Protocol):
    """What a sweep reads of a step: ``output = sum of maps(tensors) + ...``."""

    @property
    def output(self) -> str:
        """Name of the tensor that it makes."""

    @property
    def terms(self) -> Sequence[tuple[str, Any]]:
        """Tensors that it reads, each with the map that it goes through."""


L = TypeVar("L", bound=Link)
A = TypeVar("A")
Terms = Iterable[tuple[str, LinearMap]]
Send = Callable[[dict[str, A], str, Any, A], None]
"""Send what has arrived at an output back through one map, to what waits at the tensor named."""


def finite(value: Array) -> Array:
    """Put 0 for infinities and NaN: masks with -inf that what follows gives no weight."""
    fine = np.isfinite(value)
    return value if fine.all() else np.where(fine, value, 0)


def applied(
    terms: Terms,
    values: Mapping[str, Array],
    bias: Array | None = None,
    read: Callable[[Array], Array] = finite,
) -> Array:
    """``sum of maps(tensors) + bias`` at stacks: ``{tensor: (K, *its shape)} -> (K, *shape)``.

    Parameters
    ----------
    read : callable
        What is made of a tensor before a map takes it.

    Returns
    -------
    array
        Broadcastable to ``(K, *shape)`` where there are no terms. It may be one of the tensors
        itself, which an identity hands on without a copy: do not write into it.
    """
    # One after the other: of a Concat of a hundred tensors each part is as large as all of it.
    parts = (op.matvec(read(values[name])) for name, op in terms)
    every = parts if bias is None else chain(parts, [bias])
    total: Array = reduce(add, every, next(every, np.zeros(())))
    return total


def absolute(terms: Terms) -> Iterator[tuple[str, LinearMap]]:
    """The same maps with absolute values for their entries, made as they are asked for."""
    return ((name, op.absolute()) for name, op in terms)


def reach(
    terms: Terms,
    sizes: Mapping[str, Array],
    shape: Shape,
    read: Callable[[Array], Array] = np.asarray,
) -> Array:
    """``sum of |A| sizes``, without a stacking axis: how far errors of tensors carry an output.

    Parameters
    ----------
    sizes : {tensor: array of its shape}
    shape : tuple of int
        Of the output; all 0 where there are no terms.
    read : callable
        Makes the size out of what ``sizes`` holds.
    """
    total = applied(absolute(terms), sizes, read=lambda size: read(size)[None])
    found: Array = np.broadcast_to(total, (1, *shape))[0]
    return found


def spent(reads: Iterable[Iterable[str]], kept: Collection[str]) -> list[list[str]]:
    """For each of several readers in order, the tensors that none reads after it.

    Parameters
    ----------
    reads : iterable of iterables of str
        What each of them reads.
    kept : collection of str
        Never spent.
    """
    each = [tuple(names) for names in reads]
    last = {name: i for i, names in enumerate(each) for name in names}
    found: list[list[str]] = [[] for _ in each]
    for name, i in last.items():
        if name not in kept:
            found[i].append(name)
    return found


def forth(
    steps: Sequence[L],
    values: dict[str, Array],
    make: Callable[[L, Mapping[str, Array]], Array],
    wanted: Collection[str] | None,
) -> dict[str, Array]:
    """Make the tensors of the steps, in order, and let go of each after its last reader.

    Parameters
    ----------
    values : {tensor: array}
        Where to begin; what is made is put here.
    make : callable
        Makes the output of a step from the tensors so far.
    wanted : collection of str or None
        Tensors that are asked for, and kept to the end; None keeps all.
    """
    if wanted is None:
        for step in steps:
            values[step.output] = make(step, values)
        return values
    # What nobody reads is let go of as soon as it is made.
    done = spent(((step.output, *(name for name, _ in step.terms)) for step in steps), wanted)
    for step, names in zip(steps, done, strict=True):
        values[step.output] = make(step, values)
        for name in names:
            values.pop(name, None)
    return {name: value for name, value in values.items() if name in wanted}


def add_to(found: dict[str, Any], name: str, part: Any) -> None:
    """Add to what is under a name, or put the first part there."""
    # Not in place: an identity hands its cotangent on without a copy.
    found[name] = found[name] + part if name in found else part


def send_adjoint(waiting: dict[str, Any], name: str, op: Any, cotangent: Any) -> None:
    """Send cotangents back by the adjoint, and add them to those that wait."""
    add_to(waiting, name, op.rmatvec(cotangent))


def back(
    steps: Sequence[L], waiting: dict[str, A], send: Send[A] = send_adjoint
) -> Iterator[tuple[L, A]]:
    """Walk the steps last first; yield each with all that has arrived at its output.

    Steps at which nothing arrives are passed over. What arrives at tensors that no step makes, the
    inputs, is left in ``waiting``.

    Parameters
    ----------
    waiting : {tensor: what has arrived}
        Where to begin.
    send : callable
        Sends it on, after the step has been looked at; by default stacks of cotangents by the
        adjoints.
    """
    for step in reversed(steps):
        arrived = waiting.pop(step.output, None)
        if arrived is not None:
            yield step, arrived
            for name, op in step.terms:
                send(waiting, name, op, arrived)
