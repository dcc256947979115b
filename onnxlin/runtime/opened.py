"""A model opened without optimisers and run, its tensors in the element types that it has them in.

Used wherever a model, or a part of one, is run for its values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx

from onnxlin.errors import LimitError, ModelError
from onnxlin.graph import Array
from onnxlin.graph.weights import beside
from onnxlin.runtime import referring
from onnxlin.runtime import session as door
from onnxlin.runtime.narrow import Crossing, prepare
from onnxlin.runtime.providers import DEFAULT, Providers
from onnxlin.runtime.refusal import cure


@dataclass(frozen=True, eq=False)
class Session:
    """A model that onnxruntime has opened, and how its tensors cross."""

    runtime: door.ForkSafe
    crossing: Crossing


def session(
    model: onnx.ModelProto,
    constants: Mapping[str, Array] | None = None,
    providers: Providers = DEFAULT,
) -> Session:
    """Open a session with the graph optimisers off; weights beside the model are ``constants``.

    With them off, adding outputs leaves the other outputs as they are to the last bit.

    Raises
    ------
    ModelError
    OptionError
        A provider that was asked for does not start.
    """
    # Idle threads that spin would take the cores from the products that follow the run.
    options = door.without_optimisers(spinning=False)
    weights = beside(model, constants or {})
    try:
        widened, crossing = prepare(model)
        opened = referring.opened(widened, options, weights, providers)
    except (*door.MESSAGES, ValueError) as error:
        what = cure(str(error), model)
        text = f"onnxruntime cannot load the model: {door.said(error)}. {what}".rstrip()
        raise ModelError(text) from error
    except MemoryError as error:
        raise LimitError("The model does not fit into the memory there is.") from error
    return Session(opened, crossing)


def run(open_session: Session, wanted: list[str], feeds: Mapping[str, Array]) -> dict[str, Any]:
    """Run once and name the results.

    Raises
    ------
    TraceError
    """
    crossing = open_session.crossing
    names = [crossing.name(name) for name in wanted]
    values = door.run(open_session.runtime, names, crossing.given(feeds))
    return {n: crossing.taken(n, value) for n, value in zip(wanted, values, strict=True)}
