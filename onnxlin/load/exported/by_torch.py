"""``torch.nn.Module`` -> ONNX, by torch.onnx."""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
import onnx

from onnxlin.graph import Array
from onnxlin.load.exported.frameworks import TORCH, Made, package, without_example


def export(module: Any, x: Any, options: dict[str, Any]) -> Made:
    """Export a module in evaluation mode, at an example.

    By ``torch.onnx.export(dynamo=True)`` where onnxscript is installed, else by the one that
    traces, which needs onnx alone.
    """
    torch = package("torch", module, TORCH)
    if x is None:
        x = getattr(module, "example_input_array", None)
    if x is None:
        raise without_example(module, TORCH)
    dynamo = options.pop("dynamo", find_spec("onnxscript") is not None)
    with _evaluating(module) as was_training, torch.no_grad():
        inputs = _inputs(torch, module, x)
        own = _flat(torch, module(**inputs))
        how: dict[str, Any] = {"input_names": list(inputs), "dynamo": dynamo, "verbose": False}
        if dynamo:
            program = torch.onnx.export(module, (), kwargs=inputs, **how | options)
            model = program.model_proto
        else:
            file = io.BytesIO()
            torch.onnx.export(module, tuple(inputs.values()), file, **how | options)
            model = onnx.load_model_from_string(file.getvalue())
    said = ("in evaluation mode, though it was in training mode",) if was_training else ()
    by = f"torch.onnx.export(dynamo={dynamo}) of torch {torch.__version__}"
    fed = [value.detach().cpu().numpy() for value in inputs.values()]
    return Made(model, by, said, own, fed)


@contextmanager
def _evaluating(module: Any) -> Iterator[bool]:
    """Put a module into evaluation mode, and each of its parts back into its own afterwards."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield bool(training)
    finally:
        for part in training:
            part.training = True


def _inputs(torch: Any, module: Any, x: Any) -> dict[str, Any]:
    """Tensors by the names of ``forward``'s parameters, in its order, where the module is."""
    names = [
        name
        for name, parameter in inspect.signature(module.forward).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    given = dict(x) if isinstance(x, Mapping) else {names[0]: x} if names else {}
    if not given or not set(given) <= set(names):
        raise ValueError(
            f"the example has {sorted(given) or 'one array'}, forward() takes {names}; give a "
            "mapping of these names"
        )
    first = next((p for p in module.parameters() if p.is_floating_point()), None)
    return {n: _tensor(torch, given[n], first) for n in names if n in given}


def _tensor(torch: Any, value: Any, like: Any) -> Any:
    """A tensor on the module's device, floats in its precision."""
    if not isinstance(value, torch.Tensor):
        value = torch.from_numpy(np.ascontiguousarray(value))
    value = value.detach()
    if value.is_floating_point():
        value = value.to(torch.float32 if like is None else like.dtype)
    return value if like is None else value.to(like.device)


def _flat(torch: Any, found: Any) -> list[Array]:
    """All tensors of what a module returns, in order."""
    if isinstance(found, torch.Tensor):
        return [found.detach().cpu().numpy()]
    parts = found.values() if isinstance(found, Mapping) else found
    return [array for part in parts if part is not None for array in _flat(torch, part)]
