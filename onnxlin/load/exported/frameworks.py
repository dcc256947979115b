"""Which framework an object is of, told by the names of its classes: none is imported for that."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import FunctionType, MethodType
from typing import Any, Protocol

import onnx

from onnxlin.errors import ModelError
from onnxlin.graph import Array

TORCH, KERAS, SKLEARN, JAX = "torch", "keras", "sklearn", "jax"


class Estimator(Protocol):
    """What scikit-learn's estimators have in common."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters."""
        ...


Plain = str | os.PathLike[str] | bytes | onnx.ModelProto
"""A model that is in ONNX."""
Held = Callable[..., Any] | Estimator
"""A `torch.nn.Module`, a `keras.Model`, a fitted estimator, or a function of JAX."""

KINDS = {
    TORCH: "a torch.nn.Module",
    KERAS: "a keras.Model",
    SKLEARN: "a scikit-learn estimator",
    JAX: "a JAX callable",
}
# A class among an object's own ones: the package that it lies in, and its name.
_CLASSES = {
    ("torch", "Module"): TORCH,
    ("keras", "Model"): KERAS,
    ("sklearn", "BaseEstimator"): SKLEARN,
}
# Whatever these make can be called on arrays of JAX.
_OF_JAX = ("jax", "jaxlib", "flax", "equinox")


@dataclass(frozen=True, eq=False)
class Made:
    """What an exporter made.

    Parameters
    ----------
    model : onnx.ModelProto
    by : str
        The exporter and its version.
    said : tuple of str
        What else was done, for people to read.
    own : list of arrays or None, optional
        The framework's own outputs at the example, as the model's outputs are ordered; None for
        one that is not compared.
    fed : list of arrays, optional
        The example, as the model's inputs are ordered.
    metadata : {key: text}
        Names of features and classes that the object holds.
    """

    model: onnx.ModelProto
    by: str
    said: tuple[str, ...] = ()
    own: Sequence[Array | None] | None = None
    fed: list[Array] | None = None
    metadata: dict[str, str] | None = None


def framework_of(model: Any) -> str | None:
    """Tell the framework of an object: "torch", "keras", "sklearn", "jax" or None.

    A plain function is one of JAX where JAX has been imported: nothing else tells.
    """
    for kind in type(model).__mro__:
        found = _CLASSES.get((_root(kind.__module__), kind.__name__))
        if found is not None:
            return found
    if not callable(model):
        return None
    if any(_root(kind.__module__) in _OF_JAX for kind in type(model).__mro__):
        return JAX
    plain = isinstance(model, FunctionType | MethodType | partial)
    return JAX if plain and "jax" in sys.modules else None


def package(name: str, model: Any, framework: str, install: str = "") -> Any:
    """Import what exports.

    Raises
    ------
    ModelError
        It is not installed; the message says what to install.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelError(
            f"model is {KINDS[framework]} ({named(model)}), which {name} exports, and {name} "
            f"cannot be imported ({error}): pip install {install or name}. Or export it yourself, "
            "and give the file."
        ) from error


def named(model: Any) -> str:
    """Name an object by its class, or a function by its own name."""
    return getattr(model, "__name__", None) or type(model).__name__


def without_example(model: Any, framework: str) -> ModelError:
    """Say that an export takes an example of the input."""
    return ModelError(
        f"model is {KINDS[framework]} ({named(model)}), which is exported at an example of its "
        "input, and there is none. Give one: onnxlin.linearize(model, x), "
        "onnxlin.Linearizer(model, example=x), or onnxlin.export_model(model, x), whose result "
        "every function takes."
    )


def _root(module: str) -> str:
    return module.partition(".")[0]
