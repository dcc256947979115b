"""The text of ``onnxlin explain``, from the same document that ``--json`` prints."""

from __future__ import annotations

from collections import Counter
from typing import Any

from onnxlin.cli.explain import flips, hidden, layers, singular
from onnxlin.cli.screen import Cell, Screen, percent
from onnxlin.engines.memory import mib
from onnxlin.texts import counted

Document = dict[str, Any]


def show(document: Document, screen: Screen, count: int, *, verbose: bool = False) -> None:
    """Print an explanation; tables of at most ``count`` rows, and what it took if ``verbose``."""
    _head(document, screen, verbose=verbose)
    _prediction(document["prediction"], screen)
    _rows(document, screen, count)
    _residual(document, screen)
    _structure(document["structural_zero"], screen)
    for explained in document["explained"]:
        _difference(explained, screen)
        _baseline(explained, document, screen)
        _features(explained, document, screen)
        _kinds(explained, screen)
        _biases(explained, screen)
    layers.show(document["layers"], document["explained"], screen)
    hidden.show(document["hidden"], document["explained"], screen)
    singular.show(document["singular"], screen)
    flips.show(document["flips"], screen, count)
    screen.line()
    for path in document["files"]:
        screen.line(f"wrote {path}")
    screen.line(f"{document['seconds']:.2f} s")


def _head(document: Document, screen: Screen, *, verbose: bool) -> None:
    named = ", ".join(f"{name} {_shape(shape)}" for name, shape in document["inputs"].items())
    about = document["map"]
    screen.line(f"model   {document['model']} ({document['nodes']} nodes)")
    screen.line(f"input   {document['input']} -> {named}")
    for note in document["input_notes"]:
        screen.line(f"        {note}")
    against = document["baseline"]
    for note in against["notes"] if against else ():
        screen.line(f"x0      {note}")
    screen.line(
        f"map     W {about['rows']} x {about['columns']:,}, {about['dtype']}, {about['mode']} mode"
    )
    readings = ", ".join(f"{count} {status}" for status, count in about["status"].items())
    screen.line(f"nodes   {readings}; rounding: {about['rounding']}")
    for text in about["notes"]:
        screen.line(f"note    {text}")
    _ended(document["ended"], about["rows"], screen)
    if verbose:
        _cost(about, document["memory"], screen)
    if about["rows_note"]:
        screen.line(f"rows    {about['rows_note']}")


def _cost(about: Document, used: Document, screen: Screen) -> None:
    """Which engine was taken, why, and what it was expected to need."""
    screen.line(f"engine  {about['engine']}: {about['plan']}")
    screen.line(
        f"memory  about {mib(used['estimate'])} for the map; {mib(used['peak'])} at most in this "
        f"process, all that is imported included; budget {mib(used['budget'])}"
    )


def _ended(found: Document | None, count: int, screen: Screen) -> None:
    """Why W is 0, and what else could be asked."""
    if found is None:
        return
    rows = found["rows"]
    which = "every row" if len(rows) == count else f"{len(rows)} of {count} rows"
    screen.line(f"note    W is 0 in {which}: {found['why']}")
    ways = ["--rounding straight-through"] * found["straight_through"]
    ways += [f"--inputs {name}" for name in found["inputs"][:1]]
    ways += [f"--outputs {name}" for name in found["outputs"][:1]]
    ways.append("onnxlin region, which says how far the next step is")
    screen.line(f"        try {', or '.join(ways)}")


def _shape(shape: list[int]) -> str:
    return " x ".join(map(str, shape)) if shape else "scalar"


def _prediction(prediction: Document, screen: Screen) -> None:
    if not prediction["top"]:
        screen.heading("The model has no outputs at this input")
        return
    first, kind = prediction["top"][0], prediction["probability_is"]
    if kind is None:
        screen.heading(f"Largest output: {_class(first)}, F(x) = {first['F']:.6g}")
        return
    what = "the output" if kind == "output" else "softmax of the outputs, for display only"
    screen.heading(f"Prediction: {_class(first)}, {percent(first['probability'])} ({what})")


def _class(row: Document) -> str:
    """``9 Ankle boot``, or just ``9``."""
    output, label = row["output"], row["label"]
    return label if output is None or str(output) == label else f"{output} {label}"


def _rows(document: Document, screen: Screen, count: int) -> None:
    rows = sorted(document["rows"], key=lambda row: -row["F"])
    explained = {item["position"] for item in document["explained"]}
    asked = [row for i, row in enumerate(document["rows"]) if i in explained]
    kept = [row for i, row in enumerate(rows) if i < count or row in asked]
    left = f", {len(kept)} of {len(rows)} rows" if len(kept) < len(rows) else ""
    screen.heading(f"F(x) = W x + b{left}")
    softmax = ["softmax"] * (document["prediction"]["probability_is"] == "softmax")
    columns = ["output", "F(x)", *softmax, "W x", "b", "% W x", "% b"]
    cells = [_cells(row, bool(softmax)) for row in kept]
    screen.table([*columns, "off by", "at most", ""], cells)
    if left:
        counts = Counter(row["verdict"] for row in rows).items()
        decided = ", ".join(f"{count:,} {verdict}" for verdict, count in counts)
        screen.line(f"  all {len(rows):,} rows: {decided}")


def _cells(row: Document, softmax: bool) -> list[Cell]:
    chance = [percent(row["probability"])] if softmax else []
    return [
        _class(row),
        row["F"],
        *chance,
        row["Wx"],
        row["b"],
        percent(row["Wx_share"]),
        percent(row["b_share"]),
        _small(row["error"]),
        _small(row["error_bound"]),
        row["verdict"],
    ]


def _residual(document: Document, screen: Screen) -> None:
    found, kinks = document["residual"], document["kinks"]
    screen.line()
    if found["row"] is not None:
        screen.verdict(found["verdict"], proof(found, f" of output {found['row']}"))
        if found["because"]:
            screen.line(f"        {found['because']}")
    ties = kinks["ties"]
    at = "; ".join(f"{node} {count}" for node, count in list(kinks["ties_by_node"].items())[:5])
    screen.line(
        f"kinks   {counted(ties, 'unit')} exactly on a kink"
        + (f" ({at})" if ties else "")
        + f", {kinks['within_near']} within {kinks['near']:g}"
        + ("; there the map takes one side" if ties else "")
    )


def proof(found: Document, whose: str = "") -> str:
    """Say what the bound decides of a residual, both also in units of the output."""
    relation = "past" if found["verdict"] == "FAIL" else "within"
    text = (
        f"residual {_small(found['residual'])}{whose} is {relation} what rounding allows, "
        f"{_small(found['bound'])}; off by {_small(found['error'])}, at most "
        f"{_small(found['error_bound'])}, where F is of size {_small(found['output_size'])}"
    )
    if found["verdict"] not in ("PASS", "FAIL"):
        text += ": rounding may be as large as F, so this proves nothing"
    return text


def _small(value: float | None) -> str:
    """Write a number of which the size is what counts; None stands for what is not finite."""
    return "inf" if value is None else f"{value:.1e}"


def _structure(found: Document | None, screen: Screen) -> None:
    if found is not None and found["holds"]:
        screen.line(f"bias    {found['text']}")


def _difference(explained: Document, screen: Screen) -> None:
    """Why one output and not another: by how much, and whether rounding could make as much."""
    if "pair" not in explained:
        return
    label, apart = explained["label"], explained["F"]
    screen.heading(f"{label}: F(x) differs by {apart:+.6g}")
    parts = f"W x {explained['Wx']:+.5g}, b {explained['b']:+.5g}"
    bound = explained["error_bound"]
    decided = "which decides" if abs(apart) > bound else "so this decides nothing"
    screen.line(f"  {parts}; rounding may make {_small(bound)} of it, {decided}")


def _baseline(explained: Document, document: Document, screen: Screen) -> None:
    """How a row splits against the baseline, and what the model itself says there."""
    against = explained["baseline"]
    if against is None:
        return
    x0 = document["baseline"]["x0"]
    screen.heading(f"{_class(explained)} against the baseline x0 = {x0}")
    rows: list[list[Cell]] = [
        ["W (x - x0)", f"{against['difference']:+.5g}"],
        ["W x0 + b, the map of x at x0", f"{against['map_at_baseline']:+.5g}"],
    ]
    if against["F_at_baseline"] is not None:
        rows.append(["F(x0), the model at x0", f"{against['F_at_baseline']:+.5g}"])
        rows.append(["F(x0) - (W x0 + b)", f"{against['gap']:+.5g}"])
    screen.table(["", "value"], rows)


def _kinds(explained: Document, screen: Screen) -> None:
    """B by kind, where there is more than one."""
    if len(explained["kinds"]) < 2:
        return
    screen.heading(f"The b of {_class(explained)} by kind")
    rows = [
        [kind["kind"], kind["nodes"], f"{kind['value']:+.5g}", kind["meaning"]]
        for kind in explained["kinds"]
    ]
    screen.table(["kind", "nodes", "b", "what it is"], rows)


def _features(explained: Document, document: Document, screen: Screen) -> None:
    features = explained["features"]
    what = "tokens" if features and "token" in features[0] else "entries of x"
    screen.heading(f"What raises or lowers {_class(explained)} most: {what}")
    if not features:
        what = "W x" if explained["baseline"] is None else "W (x - x0)"
        screen.line(f"  none: {what} is 0 in every entry")
        return
    # A token is the sum of an embedding: it has no x and no W of its own.
    tokens = all("token" in feature for feature in features)
    columns, places = (_tokens if tokens else _entries)(features)
    rows = [
        [*place, f"{f['contribution']:+.5g}", _part(f, document, explained)]
        for place, f in zip(places, features, strict=True)
    ]
    against = "W x" if explained["baseline"] is None else "W (x - x0)"
    screen.table([*columns, against, "of F(x)"], rows)


def _entries(features: list[Document]) -> tuple[list[str], list[list[Cell]]]:
    """Columns that say which entries of x they are."""
    if all("channel" in feature for feature in features):
        columns = ["channel", "row", "column"]
        places = [[f["channel"], f["row"], f["column_of_picture"]] for f in features]
    else:
        columns, places = ["entry"], [[feature["name"]] for feature in features]
    own = [[*place, f["x"], f["weight"]] for place, f in zip(places, features, strict=True)]
    return [*columns, "x", "W"], own


def _tokens(features: list[Document]) -> tuple[list[str], list[list[Cell]]]:
    """Columns that say which tokens they are, and what each of several tensors brings."""
    inputs = {feature["of"] for feature in features}
    tensors = list(dict.fromkeys(name for feature in features for name in feature["tensors"]))
    tensors = tensors if len(tensors) > 1 else []
    rows: list[list[Cell]] = [
        [
            *([f["of"]] if len(inputs) > 1 else []),
            f["token"],
            f["name"],
            *(f"{f['tensors'][name]:+.4g}" if name in f["tensors"] else "" for name in tensors),
        ]
        for f in features
    ]
    return [*(["input"] if len(inputs) > 1 else []), "at", "token", *tensors], rows


def _part(feature: Document, document: Document, explained: Document) -> str:
    total = explained["Wx"] + explained["b"]
    return percent(feature["contribution"] / total if total else None)


def _biases(explained: Document, screen: Screen) -> None:
    screen.heading(f"Where b of {_class(explained)} comes from: biases of nodes")
    if not explained["biases"]:
        screen.line("  none: b is 0")
        return
    rows = [
        [share["node"], share["kind"], f"{share['value']:+.5g}"] for share in explained["biases"]
    ]
    screen.table(["node", "kind", "b"], rows)
