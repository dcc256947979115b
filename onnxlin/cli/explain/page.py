"""The pages that ``onnxlin explain`` writes: ``--html``, and ``--live``, which computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxlin import page
from onnxlin.affine_map import AffineMap
from onnxlin.cli import target
from onnxlin.cli.explain import baseline
from onnxlin.cli.labels import Labels
from onnxlin.engines.compiled import compile_model
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.inputs import Given
from onnxlin.linearizer import Linearizer
from onnxlin.page.assemble import shown
from onnxlin.page.computing.live import write_live
from onnxlin.page.computing.subject import Computing


@dataclass(frozen=True, eq=False)
class About:
    """What explain knows besides the map."""

    lin: Linearizer
    given: Given
    parts: tuple[page.Part, ...]
    labels: Labels
    chances: Array | None
    chances_are: str | None
    vocabulary: Sequence[str]
    flips: Any = None


def write_pages(
    m: AffineMap, about: About, chosen: Sequence[int], pair: tuple[int, int] | None, options: Any
) -> list[str]:
    """Write the pages that are asked for; return their paths."""
    written = []
    if options.html is not None:
        written.append(_write_page(m, about, chosen, pair, options))
    if options.live is not None:
        written.append(_write_live(m, about, pair, options))
    return written


def _own(option: str, name: str, options: Any) -> Path:
    """Return the path that an option names; what was given is not replaced."""
    path = Path(name)
    if any(path.exists() and path.samefile(own) for own in (options.input, options.model)):
        raise OptionError(f"{option} {name!r} is a file that was given. Name another.")
    return path


def _write_page(
    m: AffineMap, about: About, chosen: Sequence[int], pair: tuple[int, int] | None, options: Any
) -> str:
    path = _own("--html", options.html, options)
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
        at=tuple(options.at),
        flips=about.flips,
        values=against.values,
        rest={i: row["map_at_baseline"] - m.b[i] for i, row in against.rows.items() if row},
    )
    page.write(path, page.document(subject))
    return str(path)


def _write_live(m: AffineMap, about: About, pair: tuple[int, int] | None, options: Any) -> str:
    path = _own("--live", options.live, options)
    compiled = compile_model(
        options.model,
        x=dict(about.given.feeds),
        inputs=options.inputs,
        outputs=options.outputs,
        mode=options.mode,
        rounding=options.rounding,
        gates=dict(options.gates),
        shares=True,
    )
    how = target.preprocessing(options, about.lin, options.input)
    # Of an array nothing is known that neither the model nor the caller says.
    known = about.given.pixels is not None or (how is not None and bool(how.told or how.asked))
    opened = None
    if pair is not None and m.rows.index is not None:
        opened = int(m.rows.index[pair[0]]), int(m.rows.index[pair[1]])
    subject = Computing(
        compiled,
        m,
        about.given.feeds,
        about.parts,
        about.labels,
        about.labels.span,
        model=Path(options.model).name,
        source=Path(options.input).name,
        notes=about.given.notes,
        chances_are=about.chances_are,
        preprocessing=how if known else None,
        vocabulary=about.vocabulary,
        opened=opened,
        smooth=options.smooth,
    )
    write_live(path, subject, "Give --live another name.")
    return str(path)
