"""A JAX callable -> ONNX, by jax2onnx."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module, metadata
from typing import Any

import numpy as np

from onnxlin.load.exported.frameworks import JAX, Made, package, without_example


def export(function: Any, x: Any, options: dict[str, Any]) -> Made:
    """Export a function of arrays at the shapes and types of an example."""
    jax2onnx = package("jax2onnx", function, JAX)
    if x is None:
        raise without_example(function, JAX)
    jax = import_module("jax")
    given = _arguments(function, x)
    arrays = [jax.numpy.asarray(value) for value in given.values()]
    own = [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(function(*arrays))]
    model = jax2onnx.to_onnx(function, arrays, **{"input_names": list(given)} | options)
    by = f"jax2onnx {metadata.version('jax2onnx')} of jax {jax.__version__}"
    return Made(model, by, (), own, [np.asarray(array) for array in arrays])


def _arguments(function: Any, x: Any) -> dict[str, Any]:
    """Arrays by the names of the function's parameters, in its order."""
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if not isinstance(x, Mapping):
        return {names[0] if names else "x": x}
    given = {name: x[name] for name in names if name in x}
    if len(given) < len(x) or list(given) != names[: len(given)]:
        raise ValueError(f"the example names {sorted(x)}, the function's arguments are {names}")
    return given
