"""``onnxlin explain --flips``: the nearest input of another decision that a search finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnxlin import page
from onnxlin.affine_map import AffineMap
from onnxlin.cli.labels import Labels
from onnxlin.cli.screen import Cell, Progress, Screen, percent
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.page.flips import described
from onnxlin.readings.region import Found, find_change
from onnxlin.readings.row import report


@dataclass(frozen=True, eq=False)
class Searched:
    """What was found, for those who show it.

    Parameters
    ----------
    about : dict
    found : Found or None
    """

    about: dict[str, Any]
    found: Found | None

    @property
    def shown(self) -> Any:
        """As a page takes it."""
        return self.found or "nothing"


def search(
    lin: Linearizer,
    m: AffineMap,
    feeds: Mapping[str, Array],
    parts: Sequence[page.Part],
    labels: Labels,
) -> Searched:
    """Search among the rows of the map.

    Raises
    ------
    OptionError
        There is one row: nothing to decide.
    """
    if len(m.rows) < 2:
        raise OptionError(
            "--flips asks which of several outputs is the largest, and the map has "
            f"{len(m.rows)} row. Leave it out, or ask for more --rows."
        )
    rows = m.rows.index if m.rows.matrix is None else m.rows.matrix
    with Progress("search") as progress:
        found = find_change(lin, dict(feeds), rows, "l2", progress=progress)
    about = described(m, found, parts)
    if found is not None:
        names = [report.named(m, about[end], labels)["label"] for end in ("from", "to")]
        about["names"] = names
    return Searched(about, found)


def show(found: dict[str, Any] | None, screen: Screen, top: int) -> None:
    """Print what was found."""
    if found is None:
        return
    screen.heading("What flips it?")
    if found["why_not"] is not None:
        screen.line(f"nothing: {found['why_not']}")
        return
    first, second = found["names"]
    screen.line(
        f"at a distance of {found['distance']:.4g} ({found['norm']}, {percent(found['of_x'])} of "
        f"x) the model says {second}, not {first}"
    )
    screen.line("proved by a run of the model; a nearer one may exist")
    ends = zip(found["names"], found["at_x"], found["there"], strict=True)
    screen.table(["output", "F(x)", "F there"], [[name, *values] for name, *values in ends])
    ahead = found["there"][1] - found["there"][0]
    screen.line(f"there {second} is ahead by {ahead:.1e}")
    screen.line(
        f"{found['changed']:,} of {found['features']:,} numbers change, {found['outside']:,} to "
        "beyond the smallest or the largest of x; most:"
    )
    rows: list[list[Cell]] = []
    for one in found["strongest"][:top]:
        x, there = one.get("x"), one.get("there")
        rows.append([one["name"], x, there, one["size"]])
    screen.table(["feature", "x", "there", "size of the change"], rows)
