"""Attributions from elsewhere, one a sample, held against the exact contributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxlin import archives
from onnxlin.data.kept.variable import Layout, Variable
from onnxlin.errors import FileError, InputError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.readings.audit.agreement import agreement
from onnxlin.readings.audit.map import read_map
from onnxlin.readings.audit.sums import sums_of
from onnxlin.readings.question.question import Question
from onnxlin.section.feeds import Instance

ALIKE = {
    "pearson": "correlation with W * x",
    "spearman": "that of the ranks",
    "cosine": "cosine with W * x",
    "scale": "the multiple of the map that is nearest to W * x",
    "distance": "|map - W * x| / |W * x| in l2",
    "l2": "the same for that multiple",
    "signs": "share of the features whose sign the map has",
}
SUMS = {"F(x)": "F", "W x": "Wx"}


def variables(_layout: Layout, _stored: str) -> tuple[Variable, ...]:
    """Describe them: agreement with W * x, and what the map adds up to."""
    alike = (Variable(f"audit_{n}", (), (), "float64", about) for n, about in ALIKE.items())
    sums = (
        made
        for what, short in SUMS.items()
        for made in (
            Variable(f"audit_gap_{short}", (), (), "float64", f"{what} less the sum of the map"),
            Variable(
                f"audit_sums_to_{short}", (), (), "int8", "1 where that is no more than rounding"
            ),
        )
    )
    return (*alike, *sums)


def maps_of(path: str, count: int) -> Array:
    """Open the maps of a data set: an .npy of one map a sample, which is left on the disk.

    Raises
    ------
    InputError
        There are not as many as samples.
    """
    try:
        found: Array = archives.read_one(path, mapped=True)
    except FileError as error:
        raise InputError(f"{path!r} is no readable .npy of maps: {error}.") from error
    if found.ndim < 2 or len(found) < count:
        raise InputError(
            f"{path!r} has the shape {found.shape}; expected a map for each of {count:,} samples, "
            "along axis 0."
        )
    return found


def of_sample(lin: Linearizer, x: Instance, row: int, given: Array) -> dict[str, Any]:
    """Hold one map against the contributions of one row: see `onnxlin.readings.audit`.

    Raises
    ------
    InputError
        The map does not fit x.
    """
    q = Question(lin, x, row)
    foreign = read_map(q, np.array(given))
    exact = foreign.features.sums(q.m.W[0].astype(np.float64) * q.x)
    found = agreement(foreign.values, exact)
    sums, _ = sums_of(q, foreign, q.reference("zero"), relative=False)
    asked = {SUMS[each.what]: each for each in sums if each.what in SUMS}
    return {
        **{f"audit_{name}": getattr(found, name) for name in ALIKE},
        **{f"audit_gap_{short}": each.gap for short, each in asked.items()},
        **{f"audit_sums_to_{short}": int(each.holds) for short, each in asked.items()},
    }
