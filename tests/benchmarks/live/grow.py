"""How the cost grows: with the rows, the size of the picture, and what is live; one at a time.

Rows run on ResNet-18, or on the nets asked for, with a head of as many rows as are asked at most;
sizes on `fires`, or those nets; live shares on a small VGG with shifted biases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.benchmarks.live.cases import Spec

ROWS = (1, 10, 50, 128, 250, 500, 1000, 2000, 4000)
SIZES = (64, 96, 128, 160, 224, 320, 448)
SHARES = (5, 10, 20, 30, 40, 50, 60, 80, 100)
AT_ROWS = 100
Work = list[tuple[Spec, int]]


def by_rows(nets: Sequence[Spec]) -> Work:
    """The same network, more and more of its rows."""
    return [(replace(spec, head=max(ROWS)), rows) for spec in nets for rows in ROWS]


def by_size(nets: Sequence[Spec]) -> Work:
    """The same rows of larger and larger pictures."""
    return [(replace(spec, size=size), AT_ROWS) for spec in nets for size in SIZES]


def by_share(nets: Sequence[Spec]) -> Work:
    """The same network, of which more and more is live."""
    return [(replace(spec, share=share / 100), AT_ROWS) for spec in nets for share in SHARES]


SCANS: dict[str, tuple[Callable[[Sequence[Spec]], Work], str]] = {
    "rows": (by_rows, "resnet18"),
    "size": (by_size, "fires"),
    "share": (by_share, "small"),
}


def asked(names: Sequence[str], nets: str | None) -> Work:
    """Everything that some scans measure.

    Raises
    ------
    ValueError
        There is no such scan, or no such network.
    """
    unknown = [name for name in names if name not in SCANS]
    if unknown:
        raise ValueError(f"no scans: {', '.join(unknown)}; there are {', '.join(SCANS)}")
    work: Work = []
    for name in names:
        make, usual = SCANS[name]
        on = usual if nets is None or name == "share" else nets
        work += make([Spec.of(text) for text in on.split(",")])
    return work
