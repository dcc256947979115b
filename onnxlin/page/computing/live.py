"""From a model to a page that computes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxlin.engines.compiled import compile_model
from onnxlin.errors import InputError
from onnxlin.files import folder_of
from onnxlin.files import write as write_file
from onnxlin.graph import Array
from onnxlin.graph.told import named_in
from onnxlin.inputs import Given, Preprocessing
from onnxlin.inputs.preprocessing import KEY
from onnxlin.inputs.told import metadata
from onnxlin.inputs.vocabulary import read_vocabulary
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model
from onnxlin.page.computing.document import document
from onnxlin.page.computing.engine import Engine, engine, require_engine, zipped
from onnxlin.page.computing.subject import Computing
from onnxlin.page.render import asset, embedded, filled
from onnxlin.readings.row.parts import parts
from onnxlin.readings.row.summary import is_distribution, top
from onnxlin.section import STAIRCASE
from onnxlin.section.ends import listed
from onnxlin.section.gates import HALVES, Choice
from onnxlin.section.outputs import groups
from onnxlin.texts import in_html

SHARED = ("base", "heat", "picture", "hidden", "series", "tokens", "bars", "rows", "views")
OWN = (
    "engine", "answer", "choose", "resample", "strokes", "pictures", "lines", "tables", "texts",
    "editors", "pins", "line", "save", "live",
)  # fmt: skip
HELD = 5
"""Rows of W that are computed in Python, to hold the page against."""


def live(
    model: Model,
    path: str | os.PathLike[str],
    x: Array | Mapping[str, Array],
    *,
    inputs: Iterable[str] | str | None = None,
    outputs: Iterable[str] | str | None = None,
    mode: str = "tangent",
    rounding: str = STAIRCASE,
    gates: Choice = HALVES,
    names: Sequence[str] = (),
    classes: Sequence[str] = (),
    vocabulary: Sequence[str] = (),
    ranges: Any = None,
    title: str = "",
) -> None:
    """Write one HTML file that computes W and b anew for every input, with no server.

    It holds the compiled graph and onnxruntime-web; see docs/live_page.md.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
    path : path
    x : array, or {input name: array}
        The instance with which the page opens; its shapes are those of every input.
    inputs, outputs, mode, rounding, gates : as for `Linearizer`
    names, classes, vocabulary : sequences of str
        Of the features of a table, of the outputs, and of tokens by their index; of the last two
        by default those of the model's metadata.
    ranges : array (2, n), optional
        Least and largest value of each feature of a table, for its sliders.
    title : str
        What the page calls the model; by default the name of its file.

    Raises
    ------
    CompileError
        The model does not compile, or the graph is larger than 50 MB.
    OnnxlinError
        The extra `live` is not installed; and what `Linearizer` raises.
    """
    require_engine()
    asks: dict[str, Any] = {"mode": mode, "rounding": rounding, "gates": gates}
    asks |= {"inputs": listed(inputs), "outputs": listed(outputs)}
    lin = Linearizer(model, **asks)
    given = Given(lin.feeds(x), names=tuple(names))
    y = _flat(lin.run(dict(given.feeds)))
    m = lin(dict(given.feeds), np.array(top(y, HELD), np.int64))
    known = _known(lin, y, tuple(classes), tuple(vocabulary))
    subject = Computing(
        compile_model(model, x=dict(given.feeds), shares=True, **asks),
        m,
        given.feeds,
        parts(m, given, lin.graph, known["vocabulary"]),
        model=title or (Path(model).name if isinstance(model, str | os.PathLike) else "model"),
        ranges=_ranges(ranges, len(m.x)),
        **known,
    )
    write_live(path, subject)


def write_live(path: str | os.PathLike[str], subject: Computing, what: str = "") -> None:
    """Write a page that computes.

    Raises
    ------
    FileError, OnnxlinError
    """
    another = what or "Give another path."
    held = engine()
    folder_of(path, another)
    write_file(path, render_live(subject, held).encode(), another)


def render_live(subject: Computing, held: Engine) -> str:
    """Write a page as HTML: graph, runtime, style, scripts and data stand in the text itself."""
    scripts = [asset(f"{name}.js") for name in SHARED] + [asset("live", f"{n}.js") for n in OWN]
    return filled(
        asset("live", "live.html"),
        {
            "title": in_html(f"{subject.model}, live"),
            "style": asset("page.css") + asset("live", "live.css"),
            "data": embedded(document(subject) | {"engine": held.version}),
            "worker": asset("live", "worker.js"),
            "notices": held.notices,
            "ort": held.script,
            "wasm": held.kernels,
            "model": zipped(subject.serialised),
            "script": "\n".join(scripts),
        },
    )


def _flat(outputs: Mapping[str, Array]) -> Array:
    return np.concatenate([value.ravel().astype(np.float64) for value in outputs.values()])


def _known(
    lin: Linearizer, y: Array, classes: tuple[str, ...], vocabulary: tuple[str, ...]
) -> dict[str, Any]:
    """What is known of a model beside its map: what the caller says, else its metadata."""
    told = metadata(lin.graph)
    return {
        "labels": _labels(classes or tuple(named_in(told, "classes")), len(y), bool(classes)),
        "vocabulary": vocabulary or read_vocabulary(None, told),
        "preprocessing": Preprocessing.of(told) if KEY in told else None,
        "chances_are": _chances(lin, y),
    }


def _labels(names: tuple[str, ...], count: int, asked: bool) -> Sequence[str] | None:
    if len(names) == count:
        return names
    if asked:
        raise InputError(f"classes= has {len(names)} names; the model has {count} outputs.")
    return None


def _chances(lin: Linearizer, y: Array) -> str | None:
    """Whether outputs are probabilities, or become some by softmax."""
    if len(y) < 2:
        return None
    if is_distribution(y):
        return "output"
    return "softmax" if groups(lin.section) else None


def _ranges(given: Any, columns: int) -> Array | None:
    if given is None:
        return None
    found = np.asarray(given, np.float64)
    if found.shape != (2, columns):
        raise InputError(
            f"ranges= has shape {found.shape}; expected (2, {columns}): the least value of every "
            "feature, and the largest."
        )
    return found
