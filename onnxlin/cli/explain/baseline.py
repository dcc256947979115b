"""The baseline that ``onnxlin explain`` compares with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.cli import target
from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.inputs import Given
from onnxlin.linearizer import Linearizer
from onnxlin.readings import contributions, relative

ZERO = "zero"


@dataclass(frozen=True, eq=False)
class Shown:
    """What is shown of the rows that are explained.

    Parameters
    ----------
    about : dict or None
        The baseline asked for.
    values : {position: array (n_in,)}
        W x, or W (x - x0).
    rows : {position: dict or None}
        How each row splits against the baseline.
    """

    about: dict[str, Any] | None
    values: Mapping[int, Array]
    rows: Mapping[int, dict[str, Any] | None]


def shown(
    m: AffineMap, positions: Sequence[int], lin: Linearizer, given: Given, options: Any
) -> Shown:
    """Contributions of the rows to explain, against ``--baseline`` where it is given."""
    rows = np.array(positions, dtype=np.int64)
    if not positions:
        return Shown(None, {}, {})
    if options.baseline is None:
        values = contributions(m, rows).values
        return Shown(None, dict(zip(positions, values, strict=True)), dict.fromkeys(positions))
    # From a hidden tensor the model cannot be run.
    runnable = set(m.inputs) == set(lin.graph.inputs)
    x0, notes = start(m.inputs, lin, given, options)
    found = relative(m, x0, lin if runnable else None, rows)
    split = {
        position: {
            "difference": float(found.total[i]),
            "map_at_baseline": float(found.rest[i]),
            "F_at_baseline": None if found.F0 is None else float(found.F0[i]),
            "gap": None if found.gap is None else float(found.gap[i]),
        }
        for i, position in enumerate(positions)
    }
    against = dict(zip(positions, found.values, strict=True))
    return Shown({"x0": options.baseline, "notes": list(notes)}, against, split)


def start(
    wanted: Iterable[str], lin: Linearizer, given: Given, options: Any
) -> tuple[float | dict[str, Array], tuple[str, ...]]:
    """Read the baseline as x was read, for the inputs wanted; and what was done to it."""
    if options.baseline == ZERO:
        return 0.0, ()
    found = target.read(options, lin, options.baseline, given)
    if missing := [name for name in wanted if name not in found.feeds]:
        raise InputError(
            f"--baseline {options.baseline!r} holds {sorted(found.feeds)}, and the map starts at "
            f"{missing}. Give --baseline zero, or an .npz with these."
        )
    return {name: found.feeds[name] for name in wanted}, found.notes
