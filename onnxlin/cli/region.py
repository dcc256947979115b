"""``onnxlin region``: how far the map of one input reaches, and what ends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.cli import arguments, target
from onnxlin.cli.screen import Progress, Screen
from onnxlin.graph import Array
from onnxlin.inputs import Given
from onnxlin.linearizer import Linearizer
from onnxlin.readings.region import Radius, Region, drift, obstacles

NORMS = ("l2", "l1", "linf")
SHARES = (1e-3, 1e-2, 1e-1)  # of |x|, at which drift is measured


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = "Say how far the map of one input reaches, what ends it, and when the decision changes."
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
    command.add_argument("--seed", type=int, default=0, help="of the directions of drift (0)")
    arguments.ends(command)
    arguments.how(command)
    arguments.pictures(command)


def run(options: Any, screen: Screen) -> int:
    """Report on the region of one input and return the exit code."""
    lin = target.linearizer(options)
    given = target.given(options, lin)
    feeds = given.feeds
    outputs = lin.run(dict(feeds))
    y = np.concatenate([value.ravel() for value in outputs.values()])
    labels = target.Labels.of(lin, outputs)
    rows = target.choose_rows(options.rows, (), y, target.columns(lin, feeds))
    m = lin(dict(feeds), rows.rows, dtype=np.float64)
    curved = obstacles(m)
    document = {
        "model": options.model,
        "input": options.input,
        "input_notes": list(given.notes),
        "rows_note": rows.note,
    }
    if curved:
        document |= {"region": None, "obstacles": curved, "drift": _drift(lin, m, options)}
        screen.document(document)
        _show_drift(document, screen)
        return 0
    region = Region(m)
    document["region"] = _region(region, options)
    document["decisions"] = _decisions(region, options, labels)
    if options.to is not None:
        document["step"] = _step(lin, region, given, options)
    screen.document(document)
    _show(document, screen)
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


def _decisions(region: Region, options: Any, labels: target.Labels) -> list[dict[str, Any]]:
    """Return for each norm the nearest rival of the strongest row, and the certificate."""
    if len(region.map.rows) < 2:
        return []
    norms = [options.norm] if options.norm else NORMS
    found = []
    for norm in norms:
        nearest = region.decisions(norm)[0]
        index = region.map.rows.index
        name = labels[int(index[nearest.row])] if index is not None else f"row {nearest.row}"
        found.append({"norm": norm, "rival": name, "distance": nearest.distance})
    return found


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


def _drift(lin: Linearizer, m: AffineMap, options: Any) -> list[dict[str, Any]]:
    """Linearise at random points at growing distances."""
    rng, found = np.random.default_rng(options.seed), []
    size = float(np.linalg.norm(m.x)) or 1.0
    for share in SHARES:
        direction = rng.standard_normal(m.x.size)
        x = m.x + share * size * direction / np.linalg.norm(direction)
        (one,) = drift(lin, m, [_shaped(m, x)])
        found.append(
            {"distance": one.distance, "W": one.W, "error": one.error, "rounding": one.bound}
        )
    return found


def _shaped(m: AffineMap, x: Array) -> Mapping[str, Array]:
    """Cut a flat x into the model's inputs."""
    return {name: x[at].reshape(m.inputs[name].shape) for name, at in m.columns_of.items()}


def _show(document: Mapping[str, Any], screen: Screen) -> None:
    region = document["region"]
    screen.line(f"{document['model']} at {document['input']}: {region['guards']:,} guards hold")
    for note in document["input_notes"]:
        screen.line(f"note: {note}")
    screen.line(f"pattern key {region['key'][:16]}")
    if region["beyond"]:
        screen.line(f"{region['beyond']} guards are closer to x than float32 rounding")
    screen.heading("Distance to the border of the region")
    _radii(region["radius"], screen)
    if region["ties"]:
        screen.line(f"x lies on {region['ties']} ties, equal maxima of a window say. Beside them:")
        _radii(region["radius_beside_ties"], screen)
    if document["decisions"]:
        screen.heading("Distance to another decision, if W went on")
        both = zip(document["decisions"], region["radius"], strict=True)
        screen.table(
            ["norm", "rival", "distance", "certified"],
            [
                [d["norm"], d["rival"], d["distance"], min(d["distance"], r["lower"])]
                for d, r in both
            ],
        )
    screen.heading("Nearest to a kink, in units of the node's input")
    screen.table(["room", "guard"], [[t["room"], t["unit"]] for t in region["near_ties"]])
    if "step" in document:
        step = document["step"]
        screen.heading(f"On the way to {step['to']}")
        screen.line(f"the pattern first changes after {step['share']:.6g} of the way:")
        for unit in step["units"]:
            screen.line(f"  {unit}")
        if step["together"] > len(step["units"]):
            screen.line(f"  and {step['together'] - len(step['units'])} more at once")
    if document["rows_note"]:
        screen.line(document["rows_note"])


def _radii(radii: list[dict[str, Any]], screen: Screen) -> None:
    screen.table(
        ["norm", "radius", "", "what ends it", "gradients"],
        [
            [
                r["norm"],
                r["upper"] if r["exact"] else f"{r['lower']:.5g} to {r['upper']:.5g}",
                "exact" if r["exact"] else "bounds",
                r["unit"] or "nothing",
                r["sweeps"],
            ]
            for r in radii
        ],
    )


def _show_drift(document: Mapping[str, Any], screen: Screen) -> None:
    curved = document["obstacles"]
    screen.line(f"{document['model']} at {document['input']}: no linear region")
    for note in document["input_notes"]:
        screen.line(f"note: {note}")
    screen.line(f"{len(curved)} nodes are smooth, or jump where nobody can tell:")
    for reason in curved[:10]:
        screen.line(f"  {reason}")
    if len(curved) > 10:
        screen.line(f"  and {len(curved) - 10} more")
    screen.heading("How far the map moves instead, in random directions")
    screen.table(
        ["distance (l2)", "|W' - W| / |W|", "error of W x' + b", "rounding"],
        [[d["distance"], d["W"], d["error"], d["rounding"]] for d in document["drift"]],
    )
