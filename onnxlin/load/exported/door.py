"""The door: an object of a framework -> a `ModelProto` that says how it came to be."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from onnxlin.errors import ModelError, OnnxlinError
from onnxlin.graph import Array
from onnxlin.load.exported import by_jax, by_keras, by_sklearn, by_torch
from onnxlin.load.exported.frameworks import (
    JAX,
    KERAS,
    KINDS,
    SKLEARN,
    TORCH,
    Held,
    Made,
    Plain,
    framework_of,
    named,
)
from onnxlin.runtime import opened

EXPORTED_BY = "exported_by"
"""Entry of a model's metadata that says which exporter made it, and how."""

_EXPORTERS: dict[str, Callable[[Any, Any, dict[str, Any]], Made]] = {
    TORCH: by_torch.export,
    KERAS: by_keras.export,
    SKLEARN: by_sklearn.export,
    JAX: by_jax.export,
}


def export_model(model: Any, x: Any = None, **options: Any) -> onnx.ModelProto:
    """Export a model of a framework in memory, by the exporter that is installed for it.

    A `torch.nn.Module` goes through torch.onnx, a `keras.Model` through its own ``export``, a
    fitted scikit-learn estimator through skl2onnx, a JAX callable through jax2onnx.

    Parameters
    ----------
    model : torch.nn.Module, keras.Model, scikit-learn estimator or JAX callable
        torch's modules are exported in evaluation mode, and are left in the mode that they were in.
    x : array, {input name: array}, or a frame, optional
        An example of the input, whose shapes and types the exported model takes. Estimators and
        Keras models know theirs, and so does a module with an ``example_input_array``.
    options
        For the exporter: ``dynamic_shapes=``, ``opset_version=``, ...

    Returns
    -------
    onnx.ModelProto
        Its metadata entry "exported_by" names the exporter, and says how far onnxruntime's outputs
        are from the framework's own at the example; maps have it among their ``notes``. An
        estimator's names of features and classes are there, too.

    Raises
    ------
    ModelError
        It is none of these, the exporter is not installed or refuses it, or there is no example.
    """
    framework = framework_of(model)
    if framework is None:
        raise ModelError(
            f"model must be a path, bytes, onnx.ModelProto, {', '.join(KINDS.values())} (a plain "
            f"function is one where jax has been imported), not {type(model).__name__}."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what exporters say of each other and of themselves
            made = _EXPORTERS[framework](model, x, options)
    except OnnxlinError:
        raise
    except Exception as error:  # whatever an exporter raises
        why = " ".join(str(error).split())[:400] or type(error).__name__
        raise ModelError(
            f"model is {KINDS[framework]} ({named(model)}), and its exporter refused it: "
            f"{type(error).__name__}: {why.rstrip('.')}. Export it yourself, and give the file."
        ) from error
    told = {e.key: e.value for e in made.model.metadata_props}
    told |= made.metadata or {}
    told[EXPORTED_BY] = "; ".join((f"{KINDS[framework]}, by {made.by}", *made.said, *_apart(made)))
    onnx.helper.set_model_props(made.model, told)
    return made.model


def exported(model: Plain | Held, x: Any = None) -> Plain:
    """Return a path, bytes or proto as it is, and an object of a framework exported.

    Raises
    ------
    ModelError
    """
    if isinstance(model, str | os.PathLike | bytes | onnx.ModelProto):
        return model
    return bytes(model) if isinstance(model, bytearray | memoryview) else export_model(model, x)


def _apart(made: Made) -> tuple[str, ...]:
    """Say how far the exported model is from the framework's own at the example."""
    if made.own is None:
        return ()
    outputs = [o.name for o in made.model.graph.output]
    if len(outputs) != len(made.own):
        return (f"the framework has {len(made.own)} outputs, the exported model {len(outputs)}",)
    inputs = [i.name for i in made.model.graph.input]
    feeds = dict(zip(inputs, made.fed or [], strict=True))
    found = opened.run(opened.session(made.model), outputs, feeds)
    pairs = zip(outputs, made.own, strict=True)
    gap = max((_gap(found[n], v) for n, v in pairs if v is not None), default=0.0)
    return (f"at the example its outputs are within {gap:.1e} of the framework's largest",)


def _gap(found: Array, own: Array) -> float:
    """How far an output is from the framework's, as a fraction of its largest entry."""
    if found.size != own.size:
        return float("inf")
    own = own.reshape(found.shape)  # a column, say, for which a framework has a vector
    size = float(np.abs(own).max(initial=0.0))
    off = float(np.abs(found.astype(np.float64) - own.astype(np.float64)).max(initial=0.0))
    return off / size if size else off
