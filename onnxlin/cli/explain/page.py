"""The page that ``onnxlin explain --html`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxlin import page
from onnxlin.affine_map import AffineMap
from onnxlin.cli.explain import baseline
from onnxlin.cli.labels import Labels
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.inputs import Given
from onnxlin.linearizer import Linearizer
from onnxlin.page.assemble import shown


@dataclass(frozen=True, eq=False)
class About:
    """What explain knows besides the map."""

    lin: Linearizer
    given: Given
    parts: tuple[page.Part, ...]
    labels: Labels
    chances: Array | None
    chances_are: str | None


def write_page(
    m: AffineMap, about: About, chosen: Sequence[int], pair: tuple[int, int] | None, options: Any
) -> list[str]:
    """Write the page; return its path."""
    path = Path(options.html)
    if any(path.exists() and path.samefile(own) for own in (options.input, options.model)):
        raise OptionError(f"--html {options.html!r} is a file that was given. Name another.")
    # Without rows to explain the map is not the model.
    places = shown(m, chosen) if chosen else []
    at = places if options.baseline else []
    against = baseline.shown(m, at, about.lin, about.given, options)
    subject = page.Explained(
        m,
        about.parts,
        about.labels,
        model=Path(options.model).name,
        source=Path(options.input).name,
        notes=about.given.notes,
        asked=tuple(chosen),
        opened=pair,
        chances=None if about.chances is None else about.chances.tolist(),
        chances_are=about.chances_are,
        smooth=options.smooth,
        near=options.near,
        sweeps=options.sweeps,
        baseline=options.baseline,
        layers=options.layers,
        values=against.values,
        rest={i: row["map_at_baseline"] - m.b[i] for i, row in against.rows.items() if row},
    )
    page.write(path, page.document(subject))
    return [str(path)]
