"""Models that refer to weights: those that lie in files are left there.

onnxruntime maps a file by itself, and of what it lays out anew keeps only that. Of weights that are
attached it makes a copy of each for as long as it opens the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import onnx

from onnxlin.graph import Array
from onnxlin.graph.mapped import Place, by_name, files_of, require_unchanged
from onnxlin.graph.weights import referring
from onnxlin.runtime import session as door
from onnxlin.runtime.providers import DEFAULT, Providers

FOLDER = "session.model_external_initializers_file_folder_path"
"""Configuration entry: where the files are that a model given as bytes refers to."""


def opened(
    model: onnx.ModelProto,
    options: door.SessionOptions,
    weights: Mapping[str, Array],
    providers: Providers = DEFAULT,
    *,
    rounds: bool = False,
) -> door.ForkSafe:
    """Open a model; see `onnxlin.runtime.session.opened`.

    Parameters
    ----------
    options : onnxruntime.SessionOptions
        To which the weights are added.
    weights : {name: array}
        What the model refers to.

    Returns
    -------
    ForkSafe
        Whose runs raise ModelError where a file that holds weights has been written to.
    """
    if not weights:
        return door.opened(model, options, providers, rounds=rounds)
    reopen = _Opening(model, options, weights, providers, rounds=rounds)
    return door.ForkSafe(reopen, partial(require_unchanged, files_of(weights.values())))


class _Opening:
    """Opens a model as often as it is asked to: files may have gone meanwhile."""

    def __init__(
        self,
        model: onnx.ModelProto,
        options: door.SessionOptions,
        weights: Mapping[str, Array],
        providers: Providers,
        *,
        rounds: bool,
    ) -> None:
        self._model, self._options, self._weights = model, options, weights
        self._providers, self._rounds = providers, rounds
        self._held: dict[str, object] = {}
        self._folder = ""

    def __call__(self) -> door.InferenceSession:
        places = {n: p for n, p in by_name(self._weights).items() if n not in self._held}
        try:
            return self._opened(places)
        except door.MESSAGES:
            if not places:
                raise
            return self._opened({})  # a runtime that goes to no files, or a file that has just gone

    def _opened(self, places: Mapping[str, Place]) -> door.InferenceSession:
        for file in {id(place.file): place.file for place in places.values()}.values():
            if file.folder != self._folder:  # onnxruntime warns of what is said twice
                self._options.add_session_config_entry(FOLDER, file.folder)
                self._folder = file.folder
            file.release()  # or what both have mapped counts twice
        others = {n: a for n, a in self._weights.items() if n not in places and n not in self._held}
        held = door.attach(self._options, others, shared=self._providers.on_cpu)
        self._held |= zip(others, held, strict=True)
        data = referring(self._model, places).SerializeToString()
        return door.opened_here(data, self._options, self._providers, rounds=self._rounds)
