"""Sessions of onnxruntime: opened here and nowhere else, each purpose with options of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    RuntimeException,
)
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

from onnxlin.errors import TraceError
from onnxlin.runtime.sandbox import reached

__all__ = [
    "CPU",
    "MESSAGES",
    "VERSION",
    "Fail",
    "InferenceSession",
    "InvalidArgument",
    "NoKernel",
    "RuntimeException",
    "SessionOptions",
    "attach",
    "for_compiled",
    "opened",
    "run",
    "said",
    "without_optimisers",
]

CPU = ("CPUExecutionProvider",)

MESSAGES = (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NoKernel,
    RuntimeException,
    RuntimeError,
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
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def for_compiled(*, threads: int = 0) -> SessionOptions:
    """Options of a graph that onnxlin wrote, all optimisers on; ``threads`` as above."""
    return _quiet(threads)


def _quiet(threads: int) -> SessionOptions:
    options = onnxruntime.SessionOptions()
    # What goes wrong is raised; a second copy on stderr would only be in the way.
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    return options


def attach(options: SessionOptions, weights: Mapping[str, npt.NDArray[Any]]) -> None:
    """Let sessions with these options read the weights; the caller keeps those alive."""
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
    if values:
        options.add_external_initializers(list(weights), values)


def opened(
    model: onnx.ModelProto,
    options: SessionOptions,
    providers: Sequence[Any] = CPU,
    *,
    rounds: bool = False,
) -> InferenceSession:
    """Open a model; raises one of `MESSAGES`, or ValueError where protobuf cannot write it.

    Parameters
    ----------
    rounds : bool
        Whether the model rounds to steps on the way, as quantised ones do. Then it runs as
        `without_optimisers`, whatever the options say: a float that a fused kernel rounds another
        way, or a product cut up among another number of threads, comes out a whole step apart where
        it lies on the edge of one. Of the optimisers only the blocked layout of convolutions makes
        such graphs faster, and it is among those that move their outputs.
    """
    reached("loading")
    data = model.SerializeToString()
    level, threads = options.graph_optimization_level, options.intra_op_num_threads
    if rounds:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 0
    try:
        return onnxruntime.InferenceSession(data, options, providers=list(providers))
    finally:  # options of the caller's are left as they were
        reached("working")
        options.graph_optimization_level, options.intra_op_num_threads = level, threads


def run(session: InferenceSession, wanted: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
    """Run once.

    Raises
    ------
    TraceError
        A node cannot be run on these feeds.
    """
    reached("running")
    # The runtime takes arrays of rank 0, but none of NumPy's scalars.
    given = {n: np.asarray(v) if isinstance(v, np.generic) else v for n, v in feeds.items()}
    try:
        return session.run(wanted, given)
    except MESSAGES as error:
        raise TraceError(f"onnxruntime cannot run the model at this x: {said(error)}") from error
    finally:
        reached("working")


def said(error: Exception) -> str:
    """What onnxruntime said, in one line, without where in its sources."""
    # Not all of a message: the pattern takes the square of a name's length.
    return _PLACE.sub("", " ".join(str(error)[:4000].split()))[:600].rstrip(". ")
