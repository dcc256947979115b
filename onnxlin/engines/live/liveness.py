"""Which entries of each tensor a row of W can see, and an input can move.

An entry is *live* if a path of nonzero coefficients leads from it to an output that is asked for,
and one from an input, or from a bias, to it. A ReLU unit that is off, an entry that loses its
pooling window and a saturated gate are dead, at every row alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from onnxlin.engines.live.links import Link
from onnxlin.primitives import Array, Diagonal, Shape
from onnxlin.primitives.reaching import reached, reached_back

# Part of the entries that are kept beside them rather than have the others copied.
FEW = 1 / 32


def live_entries(
    chain: Sequence[Link], inputs: Mapping[str, Shape], seeded: Mapping[str, Array]
) -> dict[str, Array]:
    """Mark the live entries of every tensor.

    Parameters
    ----------
    chain : sequence of Link
        In order.
    inputs : {input: shape}
    seeded : {output: bool array of its shape}
        Outputs that some row takes.

    Returns
    -------
    {tensor: bool array of its shape}
        A superset of the entries whose cotangents are needed and not 0.
    """
    needed = {name: np.ones(shape, bool) for name, shape in inputs.items()}
    for link in chain:
        marks = [reached(op, needed[name]) for name, op in link.terms if name in needed]
        marks += [np.broadcast_to(bias != 0, link.shape) for _, bias in link.charges]
        needed[link.output] = np.logical_or.reduce(marks) if marks else np.zeros(link.shape, bool)
    seen = {name: mask.copy() for name, mask in seeded.items()}
    for link in reversed(chain):
        if link.output not in seen:
            continue
        seen[link.output] = seen[link.output] & needed[link.output]
        for name, op in link.terms:
            if name in needed:
                mark = reached_back(op, seen[link.output])
                seen[name] = seen[name] | mark if name in seen else mark
    return {name: mask & needed[name] for name, mask in seen.items() if name in needed}


def widened(
    chain: Sequence[Link], marks: Mapping[str, Array], ends: Collection[str]
) -> dict[str, Array]:
    """Let tensors keep the few entries that a mask takes from them.

    Units that are saturated, as of a ReLU6, have a bias and send nothing on. If those before them
    are kept, cotangents need not be copied for their sake: a few lines of them are put to 0.

    Parameters
    ----------
    chain, marks
        See `live_entries`.
    ends : collection of str
        Inputs and outputs of the program, which stay what they are.
    """
    found = dict(marks)
    readers = Counter(name for link in chain for name, _ in link.terms)
    for link in reversed(chain):
        if len(link.terms) != 1:
            continue
        ((name, op),) = link.terms
        if not isinstance(op, Diagonal) or name in ends or readers[name] > 1:
            continue
        mark, wide = found.get(name), found.get(link.output)
        if mark is None or wide is None or (mark & ~wide).any():
            continue
        more = int(wide.sum()) - int(mark.sum())
        scale = np.broadcast_to(op.scale, op.in_shape)
        if 0 < more <= FEW * int(mark.sum()) and (scale[mark] == 1).all():
            found[name] = wide
    return found
