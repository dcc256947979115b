"""The baseline that ``onnxlin explain`` compares with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.cli import target
from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.inputs import read_input
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


def shown(m: AffineMap, positions: Sequence[int], lin: Linearizer, options: Any) -> Shown:
    """Contributions of the rows to explain, against ``--baseline`` where it is given."""
    rows = np.array(positions, dtype=np.int64)
    if not positions:
        return Shown(None, {}, {})
    if options.baseline is None:
        values = contributions(m, rows).values
        return Shown(None, dict(zip(positions, values, strict=True)), dict.fromkeys(positions))
    # From a hidden tensor the model cannot be run.
    runnable = set(m.inputs) == set(lin.graph.inputs)
    found = relative(m, _read(m, lin, options), lin if runnable else None, rows)
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
    return Shown({"x0": options.baseline}, against, split)


def _read(m: AffineMap, lin: Linearizer, options: Any) -> float | dict[str, Array]:
    if options.baseline == ZERO:
        return 0.0
    how = target.preprocessing(options, lin, options.baseline)
    feeds = read_input(options.baseline, lin.graph.inputs, how).feeds
    if missing := [name for name in m.inputs if name not in feeds]:
        raise InputError(
            f"--baseline {options.baseline!r} holds {sorted(feeds)}, and the map starts at "
            f"{missing}. Give --baseline zero, or an .npz with these."
        )
    return {name: feeds[name] for name in m.inputs}
