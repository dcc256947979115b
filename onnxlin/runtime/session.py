"""Sessions of onnxruntime: opened here and nowhere else, each purpose with options of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.capi import onnxruntime_pybind11_state as state
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    RuntimeException,
)
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

from onnxlin.errors import LimitError, TraceError
from onnxlin.runtime.deadline import is_set, watched
from onnxlin.runtime.forked import ForkSafe
from onnxlin.runtime.providers import DEFAULT, Providers
from onnxlin.runtime.sandbox import reached
from onnxlin.runtime.share import share

__all__ = [
    "MESSAGES",
    "VERSION",
    "Fail",
    "ForkSafe",
    "InferenceSession",
    "InvalidArgument",
    "NoKernel",
    "RuntimeException",
    "SessionOptions",
    "attach",
    "for_compiled",
    "fresh_options",
    "opened",
    "opened_here",
    "run",
    "said",
    "without_optimisers",
]

_RARE = ("EPFail", "EngineError", "ModelLoadCanceled", "NoModel", "NoSuchFile", "NotFound")

MESSAGES = (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NoKernel,
    RuntimeException,
    RuntimeError,
    *(getattr(state, name) for name in _RARE if hasattr(state, name)),
)
"""What onnxruntime raises."""

VERSION: str = onnxruntime.__version__
# "/file.cc:46 type name(types) const " before a message; with brackets inside it stays.
_PLACE = re.compile(r"/\S+:\d+ [\w:<>&*, ~]+\([\w:<>&*, ]*\) (?:const )?")


def without_optimisers(*, threads: int = 0, spinning: bool = True) -> SessionOptions:
    """Options of a run that is to the last bit what the model's own nodes make of x.

    Fused kernels round differently, and fuse another way where further outputs are asked for.

    Parameters
    ----------
    threads : int
        In a node; 0 takes onnxruntime's own number.
    spinning : bool
        Whether threads keep a core busy while they wait for the next node.
    """
    options = _quiet(threads)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # The tensors of a run are handed out; an arena would keep their room when they are let go of.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def for_compiled(*, threads: int = 0, little: bool = False) -> SessionOptions:
    """Options of a graph that onnxlin wrote, all optimisers on; ``threads`` as above.

    Parameters
    ----------
    little : bool
        Whether its tensors are so small that calls of the allocator count, and bytes do not.
    """
    options = _quiet(threads)
    if little:
        return options
    # A pattern is one more block, as large as all that a run has needed so far, beside what the
    # arena holds already. Without it SqueezeNet and ResNet-18 are as fast, LeNet-5 4 % slower.
    options.enable_mem_pattern = False
    # What is ready first is not run first, but what the writer of the graph put first: tensors of
    # the way back wait for their rows no longer than they must (ViT, ten rows: 160 MiB, not 550).
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    return options


def fresh_options() -> SessionOptions:
    """Options as onnxruntime has them."""
    return onnxruntime.SessionOptions()


def _quiet(threads: int) -> SessionOptions:
    options = fresh_options()
    # What goes wrong is raised; a second copy on stderr would only be in the way.
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or share() or 0
    return options


def attach(
    options: SessionOptions, weights: Mapping[str, npt.NDArray[Any]], *, shared: bool = True
) -> Sequence[object]:
    """Let sessions with these options read the weights.

    Without optimisers they read them where they lie, and hold no copy, if they are ``shared``: a
    provider with memory of its own has to copy them there.

    Returns
    -------
    sequence
        What must live as long as such a session, and keeps the weights alive.
    """
    # A file may have its numbers anywhere; what it maps is aligned by onnxruntime itself.
    aligned = [np.require(array, requirements="A") for array in weights.values()]
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in aligned]
    if not values:
        return values
    options.add_external_initializers(list(weights), values)
    # An optimiser may lay a weight out anew, and would then be given the old one in its place.
    plain = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if shared and options.graph_optimization_level == plain:
        for name, value in zip(weights, values, strict=True):
            options.add_initializer(name, value)
    return values


def opened(
    model: onnx.ModelProto | Callable[[], onnx.ModelProto],
    options: SessionOptions,
    providers: Providers = DEFAULT,
    *,
    rounds: bool = False,
) -> ForkSafe:
    """Open a model; raises one of `MESSAGES`, or ValueError where protobuf cannot write it.

    Raises OptionError where a provider that was asked for does not start.

    Parameters
    ----------
    model : onnx.ModelProto, or what makes it
        Its bytes are kept: a forked child opens them again. What makes it is called again instead,
        for models with large weights inside.
    rounds : bool
        Whether the model rounds to steps on the way, as quantised ones do. Then it runs as
        `without_optimisers`, whatever the options say: a float that a fused kernel rounds another
        way, or a product cut up among another number of threads, comes out a whole step apart where
        it lies on the edge of one. Of the optimisers only the blocked layout of convolutions makes
        such graphs faster, and it is among those that move their outputs.
    """
    kept = None if callable(model) else model.SerializeToString()

    def reopened() -> InferenceSession:
        data = model().SerializeToString() if callable(model) else kept
        return opened_here(data, options, providers, rounds=rounds)

    return ForkSafe(reopened)


def opened_here(
    data: Any, options: SessionOptions, providers: Providers = DEFAULT, *, rounds: bool = False
) -> InferenceSession:
    """Open a model, given as its bytes, in this process alone; see `opened`."""
    reached("loading")
    level, threads = options.graph_optimization_level, options.intra_op_num_threads
    if rounds:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 0
    options.intra_op_num_threads = options.intra_op_num_threads or share() or 0
    try:
        made = onnxruntime.InferenceSession(data, options, **providers.asks(options))
    finally:  # options of the caller's are left as they were
        reached("working")
        options.graph_optimization_level, options.intra_op_num_threads = level, threads
    providers.require(made)
    return made


def run(session: ForkSafe, wanted: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
    """Run once.

    Raises
    ------
    TraceError
        A node cannot be run on these feeds.
    LimitError
        It asks for more memory than there is, or the time of `onnxlin.runtime.deadline` is over.
    """
    # The runtime takes arrays of rank 0, but none of NumPy's scalars.
    for value in feeds.values():
        if isinstance(value, np.generic):
            feeds = {n: np.asarray(v) if isinstance(v, np.generic) else v for n, v in feeds.items()}
            break
    reached("running")
    try:
        if not is_set():  # as nearly always: entering what watches costs as much as a small node
            return session.run(wanted, feeds)
        with watched() as options:
            return session.run(wanted, feeds, options)
    except MESSAGES as error:
        raise TraceError(f"onnxruntime cannot run the model at this x: {said(error)}") from error
    except UnicodeDecodeError as error:  # its message quotes what is no text
        said_so = error.object.decode("utf-8", "backslashreplace")[:600]
        raise TraceError(f"onnxruntime cannot run the model at this x: {said_so}") from error
    except MemoryError as error:
        raise LimitError(
            "onnxruntime ran out of memory at this x. Give a smaller x, or more memory."
        ) from error
    finally:
        reached("working")


def said(error: Exception) -> str:
    """What onnxruntime said, in one line, without where in its sources."""
    # Not all of a message: the pattern takes the square of a name's length.
    return _PLACE.sub("", " ".join(str(error)[:4000].split()))[:600].rstrip(". ")
