"""``onnxlin region``: how far the map of one input reaches, and its limiting unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.cli import arguments, target
from onnxlin.cli.labels import Labels
from onnxlin.cli.region import text
from onnxlin.cli.screen import Progress, Screen
from onnxlin.graph import Array
from onnxlin.inputs import Given
from onnxlin.linearizer import Linearizer, columns
from onnxlin.readings.question.cut import cut
from onnxlin.readings.region import Found, Radius, Region, drift, find_change, obstacles

NORMS = ("l2", "l1", "linf")
SHARES = (1e-3, 1e-2, 1e-1)  # of |x|, at which drift is measured


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = (
        "Say how far the map of one input is proved to hold, which unit limits it, which decision "
        "that certifies, and how far off a search finds another one."
    )
    command = arguments.command(commands, "region", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("input", help="a picture, .npy, .npz or .csv")
    command.add_argument("--norm", choices=("l1", "l2", "linf"), help="one norm only (all three)")
    command.add_argument("--to", metavar="INPUT", help="also step towards this input")
    command.add_argument(
        "--ties", type=arguments.count, default=5, help="length of the list of ties (5)"
    )
    command.add_argument(
        "--sweeps",
        type=arguments.count,
        default=20_000,
        metavar="N",
        help="gradients to compute at most; beyond that a radius is a pair of bounds (20000)",
    )
    command.add_argument(
        "--search",
        type=arguments.count,
        default=16,
        metavar="N",
        help="maps to compute at most, twice, in search of another decision (16)",
    )
    command.add_argument("--no-search", action="store_true", help="prove only, search for nothing")
    command.add_argument("--seed", type=int, default=0, help="of random directions (0)")
    arguments.ends(command)
    arguments.how(command, threads=True)
    arguments.classes(command)
    arguments.sample(command)
    arguments.pictures(command)


def run(options: Any, screen: Screen) -> int:
    """Report on the region of one input and return the exit code."""
    lin = target.linearizer(options)
    given = target.given(options, lin)
    feeds = given.feeds
    outputs = lin.run(dict(feeds))
    y = np.concatenate([value.ravel() for value in outputs.values()])
    labels = Labels.of(lin, outputs)
    rows = target.choose_rows(options.rows, (), y, columns(lin, feeds))
    m = lin(dict(feeds), rows.rows, dtype=np.float64)
    curved = obstacles(m)
    document = {
        "model": options.model,
        "input": options.input,
        "input_notes": list(given.notes),
        "rows_note": rows.note,
    }
    if curved:
        document |= {"region": None, "obstacles": curved, "drift": _drift(lin, m, feeds, options)}
        screen.document(document)
        text.show_drift(document, screen)
        return 0
    region = Region(m)
    document["region"] = _region(region, options)
    document["decisions"] = _decisions(region, document["region"], options, labels)
    if not options.no_search:
        for decision in document["decisions"]:
            found = _found(lin, m, feeds, decision["norm"], options)
            if found is not None:
                row = _name(m, found.row, labels)
                decision["found"] = {"distance": found.distance, "row": row}
    if options.to is not None:
        document["step"] = _step(lin, region, given, options)
    screen.document(document)
    text.show(document, screen)
    return 0


def _region(region: Region, options: Any) -> dict[str, Any]:
    norms = [options.norm] if options.norm else NORMS
    return {
        "key": region.key,
        "guards": region.guards,
        "beyond": region.beyond,
        "ties": region.ties,
        "near_ties": [
            {**unit.as_dict(), "unit": str(unit)} for unit in region.near_ties(options.ties)
        ],
        "radius": [_radius(region, norm, options.sweeps) for norm in norms],
        "radius_beside_ties": [
            _radius(region, norm, options.sweeps, ties=False) for norm in norms if region.ties
        ],
    }


def _radius(region: Region, norm: str, sweeps: int, *, ties: bool = True) -> dict[str, Any]:
    with Progress(f"guards ({norm})") as progress:
        found: Radius = region.radius(norm, sweeps=sweeps, ties=ties, progress=progress)
    return {
        "norm": norm,
        "lower": found.lower,
        "upper": found.upper,
        "exact": found.exact,
        "unit": None if found.unit is None else str(found.unit),
        "sweeps": found.sweeps,
    }


def _decisions(
    region: Region, about: Mapping[str, Any], options: Any, labels: Labels
) -> list[dict[str, Any]]:
    """Return for each norm what is certified, and the nearest rival if W went on."""
    if len(region.map.rows) < 2:
        return []
    norms = [options.norm] if options.norm else NORMS
    found = []
    for norm, radius in zip(norms, about["radius"], strict=True):
        nearest = region.decisions(norm)[0]
        found.append({
            "norm": norm,
            "certified": min(nearest.distance, radius["lower"]),
            "rival": _name(region.map, nearest.row, labels),
            "distance": nearest.distance,
            "found": None,
        })  # fmt: skip
    return found


def _name(m: AffineMap, row: int, labels: Labels) -> str:
    index = m.rows.index
    return labels[int(index[row])] if index is not None else f"row {row}"


def _found(
    lin: Linearizer, m: AffineMap, feeds: Mapping[str, Array], norm: str, options: Any
) -> Found | None:
    """Search for an input of another decision."""
    rows = m.rows.index if m.rows.matrix is None else m.rows.matrix
    how: dict[str, Any] = {"steps": options.search, "seed": options.seed}
    with Progress(f"search ({norm})") as progress:
        return find_change(lin, dict(feeds), rows, norm, progress=progress, **how)


def _step(lin: Linearizer, region: Region, given: Given, options: Any) -> dict[str, Any]:
    """Return the first change of pattern on the way to another input, as a share of the way."""
    other = target.read(options, lin, options.to, given).feeds
    parts = [np.asarray(other[name], np.float64).ravel() for name in region.map.inputs]
    found = region.step(np.concatenate(parts) - region.map.x)
    return {
        "to": options.to,
        "share": found.step,
        "units": [str(unit) for unit in found.units[:10]],
        "together": len(found.units),
    }


def _drift(
    lin: Linearizer, m: AffineMap, feeds: Mapping[str, Array], options: Any
) -> list[dict[str, Any]]:
    """Linearise at random points at growing distances."""
    rng, found = np.random.default_rng(options.seed), []
    # Of a map that starts at hidden tensors, such as the vectors of tokens, these are what moves.
    lin, held = cut(lin, dict(feeds))
    size = float(np.linalg.norm(m.x)) or 1.0
    for share in SHARES:
        direction = rng.standard_normal(m.x.size)
        x = m.x + share * size * direction / np.linalg.norm(direction)
        (one,) = drift(lin, m, [{**held, **_shaped(m, x)}])
        found.append(
            {"distance": one.distance, "W": one.W, "error": one.error, "rounding": one.bound}
        )
    return found


def _shaped(m: AffineMap, x: Array) -> Mapping[str, Array]:
    """Cut a flat x into the model's inputs."""
    return {name: x[at].reshape(m.inputs[name].shape) for name, at in m.columns_of.items()}
