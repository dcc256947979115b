"""The text of ``onnxlin audit``, from the same document that ``--json`` prints."""

from __future__ import annotations

from typing import Any

from onnxlin.cli.explain.text import proof
from onnxlin.cli.screen import Cell, Screen, percent

Document = dict[str, Any]
FINE = 1e-3  # a cosine this near to 1 is shown as its distance from 1


def show(document: Document, screen: Screen) -> None:
    """Print an audit."""
    show_head(document, screen)
    _against(document, screen)
    _sums(document, screen)
    _gap(document, screen)
    _nearest(document, screen)
    if document["judged"] is not None:
        _judged(document, screen)
    screen.line()
    if document["file"]:
        screen.line(f"wrote {document['file']}")
    screen.line(f"{document['seconds']:.2f} s")


def show_head(document: Document, screen: Screen) -> None:
    """Print what is audited, and whether the map of the model itself is proved."""
    label, output = document["label"], document["output"]
    named = label if str(output) == label else f"{output} {label}"
    screen.line(f"model   {document['model']}, output {named}, {document['mode']} mode")
    screen.line(f"input   {document['input']}")
    for note in document["input_notes"]:
        screen.line(f"        {note}")
    screen.line(
        f"F(x)    {document['F']:.6g} = W x + b = {document['Wx']:.6g} + {document['b']:.6g}"
    )
    found = document["residual"]
    screen.verdict(found["verdict"], proof(found))
    if found["because"]:
        screen.line(f"        {found['because']}")
    if "assumed" in document:
        compared = document["compared"]
        screen.line(f"map     {document['map']}, {document['dtype']}, {document['assumed']}")
        screen.line(f"        compared over {compared['count']:,} {compared['what']}")


def _against(document: Document, screen: Screen) -> None:
    screen.heading("The map against the exact contributions")
    names = list(document["against"])
    found = list(document["against"].values())
    lines: list[tuple[str, list[Cell]]] = [
        ("Pearson correlation", [_near_one(f["pearson"]) for f in found]),
        ("Spearman correlation", [_near_one(f["spearman"]) for f in found]),
        ("cosine", [_near_one(f["cosine"]) for f in found]),
        ("distance as it is (l2, relative)", [_known(f["distance"]) for f in found]),
        ("distance of the best multiple (l2)", [percent(_known(f["l2"])) for f in found]),
        ("distance of the best multiple (l1)", [percent(_known(f["l1"])) for f in found]),
        ("best multiple (l2)", [f["scale"] for f in found]),
        ("signs that agree", [percent(_known(f["signs"])) for f in found]),
    ]
    lines += [
        (f"of the {k} largest, in common", [percent(f["top"][k]) for f in found])
        for k in found[0]["top"]
    ]
    rows: list[list[Cell]] = [[name, *cells] for name, cells in lines]
    screen.table(["", *names], rows)


def _known(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124  # NaN is not equal to itself


def _near_one(value: float) -> str:
    if 0 < 1 - value < FINE:
        return f"1 - {1 - value:.1e}"
    return "-" if _known(value) is None else f"{value:.4f}"


def _sums(document: Document, screen: Screen) -> None:
    screen.heading(f"Does it add up? Its sum is {document['sum']:.6g}")
    rows = [
        [each["what"], each["expected"], f"{each['gap']:+.3g}", f"{each['bound']:.1e}",
         "equal" if each["holds"] else "differs"]
        for each in document["sums"]
    ]  # fmt: skip
    screen.table(["", "value", "off by", "rounding allows", ""], rows)
    if document["complete"]:
        screen.line(f"complete: it adds up to {' and to '.join(document['complete'])}")
    else:
        screen.line("not complete: it adds up to none of these")
    if document["doubtful"]:
        screen.line(
            f"doubtful: {' and '.join(document['doubtful'])}. Rounding allows it in the worst "
            f"case, but made only {document['rounding_made_here']:.0e} here"
        )
    screen.line(f"x0 is {document['baseline']}")


def _gap(document: Document, screen: Screen) -> None:
    gap = document["gap"]
    screen.heading("What it leaves out: F(x) less its sum, against the biases")
    if gap["nodes"] == []:
        screen.line(gap["how"])
        return
    screen.line(f"gap {gap['value']:.6g}; b {gap['b']:.6g}")
    screen.line(gap["how"])
    if gap["explained"]:
        screen.line("  " + ", ".join(gap["nodes"][:10]) + ", ..." * (len(gap["nodes"]) > 10))
    else:
        screen.line(f"its sum is off W x by {-gap['missing']:+.6g}")
    if gap["shares"]:
        rows = [[share["node"], f"{share['value']:+.5g}"] for share in gap["shares"]]
        screen.table(["largest biases", "b"], rows)


def _nearest(document: Document, screen: Screen) -> None:
    screen.heading("What it looks like")
    rows = [
        [
            each["method"],
            _near_one(each["cosine"]),
            _near_one(each["spearman"]),
            percent(_known(each["l2"])),
            each["scale"],
        ]
        for each in document["nearest"]
    ]
    screen.table(["method", "cosine", "Spearman", "distance of best multiple", "multiple"], rows)


def _judged(document: Document, screen: Screen) -> None:
    found = document["judged"]
    screen.heading("Judged by what the model does when features go (docs/readings/second_opinion)")
    columns = [f"{metric} ({good})" for metric, good in found["better"].items()]
    rows = [[name, *row.values()] for name, row in found["table"].items()]
    screen.table(["", *columns], rows)
    text = f"{found['runs']:,} runs of the model, {found['at_once']} at once"
    screen.line(text + (f": {found['one_by_one']}" if found["one_by_one"] else ""))
