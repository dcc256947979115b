"""What ``onnxlin region`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnxlin.cli.screen import Screen
from onnxlin.texts import counted


def show(document: Mapping[str, Any], screen: Screen) -> None:
    """What is proved first, what is found next, and then what it rests on."""
    region = document["region"]
    screen.line(
        f"{document['model']} at {document['input']}: "
        f"a region defined by {counted(region['guards'], 'constraint')}"
    )
    _certified(document, screen)
    for note in document["input_notes"]:
        screen.line(f"note: {note}")
    screen.line(f"pattern key {region['key'][:16]}")
    if region["beyond"]:
        screen.line(f"closer to x than float32 rounding: {counted(region['beyond'], 'constraint')}")
    screen.heading("Distance to the border of the region")
    _radii(region["radius"], screen)
    if region["ties"]:
        ties = counted(region["ties"], "tie")
        screen.line(f"x lies on {ties} (equal maxima of a window, say). Ignoring those ties:")
        _radii(region["radius_beside_ties"], screen)
    screen.heading("Nearest to a kink, in units of the node's input")
    screen.table(["room", "constraint"], [[t["room"], t["unit"]] for t in region["near_ties"]])
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


def _certified(document: Mapping[str, Any], screen: Screen) -> None:
    """Say what the certificate covers, and what lies beyond it."""
    decisions, region = document["decisions"], document["region"]
    if not decisions:
        screen.line("one row has no decision to certify; the map holds as far as the border below")
        return
    if all(not decision["certified"] for decision in decisions):
        why = "two rows are level"
        if region["ties"]:
            ties = counted(region["ties"], "tie")
            why = f"x lies on {ties} (equal maxima over a constant background, say)"
        elif not any(radius["lower"] for radius in region["radius"]):
            why = "x lies within rounding of a border"
        screen.line(f"Nothing is proved of x' beside x: {why}, so the certificate is 0.")
    else:
        each = ", ".join(f"{d['certified']:.5g} ({d['norm']})" for d in decisions)
        screen.line(
            f"Proved: the map, and with it the largest row, is the same within {each} of x."
        )
    screen.line(
        "It covers one linear region and no more; the model may decide alike far beyond it."
    )
    screen.heading("Distance to another decision")
    screen.table(
        ["norm", "proved: none within", "found by a search", "there", "tie predicted", "rival"],
        [[d["norm"], d["certified"], *_searched(d["found"]), d["distance"], d["rival"]]
         for d in decisions],
    )  # fmt: skip
    screen.line("found: runs of the model decide otherwise there; a nearer one may exist, unproved")
    screen.line(
        "tie predicted: by the map of x alone, if it stayed valid; it holds up to the border below"
    )


def _searched(found: Mapping[str, Any] | None) -> list[Any]:
    return ["none", ""] if found is None else [found["distance"], found["row"]]


def _radii(radii: list[dict[str, Any]], screen: Screen) -> None:
    screen.table(
        ["norm", "radius", "", "limiting unit", "gradients"],
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


def show_drift(document: Mapping[str, Any], screen: Screen) -> None:
    """What there is where nodes are smooth: how far the map moves."""
    curved = document["obstacles"]
    screen.line(f"{document['model']} at {document['input']}: no linear region")
    for note in document["input_notes"]:
        screen.line(f"note: {note}")
    screen.line(f"{counted(len(curved), 'node')} smooth, or with jumps that can't be located:")
    for reason in curved[:10]:
        screen.line(f"  {reason}")
    if len(curved) > 10:
        screen.line(f"  and {len(curved) - 10} more")
    screen.heading("How far the map moves instead, in random directions")
    screen.table(
        ["distance (l2)", "|W' - W| / |W|", "error of W x' + b", "rounding"],
        [[d["distance"], d["W"], d["error"], d["rounding"]] for d in document["drift"]],
    )
