"""Two models that are fed one x: which input, output and row of the one is which of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.section.feeds import Instance


@dataclass(frozen=True, eq=False)
class Aligned:
    """What corresponds to what.

    Parameters
    ----------
    inputs, outputs : {name in A: name in B}
        Of what is linearised.
    feeds : tuple of {input: array}
        Of A and of B; empty where maps are compared.
    order : array (n_out,)
        For every output of A, flattened, where it stands among B's.
    notes : tuple of str
    """

    inputs: dict[str, str]
    outputs: dict[str, str]
    feeds: tuple[dict[str, Array], ...]
    order: Array
    notes: tuple[str, ...]

    def rows_of_b(self, m: AffineMap) -> Array:
        """Rows of B that correspond to those of a map of A."""
        if m.rows.index is not None:
            return self.order[m.rows.index]
        assert m.rows.matrix is not None
        found: Array = m.rows.matrix[:, np.argsort(self.order)]
        return found


def align(a: Linearizer, b: Linearizer, x: Instance) -> Aligned:
    """Feed both models the same x.

    Raises
    ------
    InputError
    """
    fed, note = paired("inputs", list(a.graph.inputs), list(b.graph.inputs))
    feeds = a.feeds(x)
    others = feeds_of_b(feeds, b, fed)
    ins, _ = paired("inputs", a.section.inputs, b.section.inputs)
    outs, other_note = paired("outputs", a.section.outputs, b.section.outputs)
    order = places(a.run(feeds), outs, b.run(others))
    return Aligned(ins, outs, (feeds, others), order, tuple(n for n in (note, other_note) if n))


def align_maps(a: AffineMap, b: AffineMap) -> Aligned:
    """Match the inputs and outputs of two maps.

    Raises
    ------
    InputError
    """
    ins, note = paired("inputs", list(a.inputs), list(b.inputs))
    outs, other_note = paired("outputs", list(a.outputs), list(b.outputs))
    order = places(a.outputs, outs, b.outputs)
    apart = [n for n in ins if not np.array_equal(a.inputs[n], b.inputs[ins[n]])]
    if apart:
        raise InputError(
            f"The maps are of different x: inputs {apart} do not hold the same numbers."
        )
    return Aligned(ins, outs, (), order, tuple(n for n in (note, other_note) if n))


def paired(
    what: str, ours: Sequence[str], theirs: Sequence[str]
) -> tuple[dict[str, str], str | None]:
    """Pair inputs or outputs: by name, else by order, with a note that says so.

    Raises
    ------
    InputError
        There are not equally many.
    """
    if len(ours) != len(theirs):
        raise InputError(
            f"The models have different {what}: A {list(ours)}, B {list(theirs)}. Choose {what}= "
            "that correspond to one another."
        )
    if set(ours) == set(theirs):
        return {name: name for name in ours}, None
    pairs = dict(zip(ours, theirs, strict=True))
    listed = ", ".join(f"{a!r} with {b!r}" for a, b in pairs.items())
    return pairs, f"{what} matched by their order, as the names differ: {listed}"


def places(
    ours: Mapping[str, Array], pairs: Mapping[str, str], theirs: Mapping[str, Array]
) -> Array:
    """For every entry of A's tensors, flattened, where it stands among B's.

    Raises
    ------
    InputError
        Two that are a pair have different shapes.
    """
    start, at = 0, {}
    for name, value in theirs.items():
        at[name] = np.arange(start, start + value.size)
        start += value.size
    for name, value in ours.items():
        other = theirs[pairs[name]].shape
        if other != value.shape:
            raise InputError(
                f"{name!r} of A has shape {value.shape}, {pairs[name]!r} of B {other}: only what "
                "has one shape can be compared. Choose inputs= and outputs= that correspond."
            )
    return np.concatenate([at[pairs[name]] for name in ours])


def feeds_of_b(
    feeds: Mapping[str, Array], b: Linearizer, pairs: Mapping[str, str]
) -> dict[str, Array]:
    """Give B the input of A, under B's names."""
    given = {pairs[name]: value for name, value in feeds.items()}
    try:
        return b.feeds(given)
    except InputError as error:
        listed = {name: value.shape for name, value in feeds.items()}
        raise InputError(f"Model B does not take what model A takes, {listed}: {error}") from error
