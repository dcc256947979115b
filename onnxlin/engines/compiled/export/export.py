"""A model's linearisation as a model of its own, for any ONNX runtime."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import onnx

from onnxlin.engines.compiled.compile import ADJOINT, NAMES, Compiled, compile_section
from onnxlin.engines.compiled.dropped import drop_output
from onnxlin.engines.compiled.export.about import Facts, describe
from onnxlin.engines.compiled.export.batch import batched
from onnxlin.engines.compiled.export.example import Shapes, example_feeds
from onnxlin.engines.compiled.export.files import save, sha256
from onnxlin.engines.seeds import make_seeds
from onnxlin.errors import CompileError, LimitError, ModelError, OptionError, TraceError
from onnxlin.graph import Graph
from onnxlin.graph.weights import MOST_INSIDE, filled, size
from onnxlin.load import Model, Path, exported, load
from onnxlin.lowering import NotStaticError
from onnxlin.program.check import require_rules
from onnxlin.runtime.opened import session
from onnxlin.runtime.providers import CPU, require_known
from onnxlin.section import STAIRCASE, Section, make_section, require_mode, require_rounding
from onnxlin.section.ends import listed
from onnxlin.section.feeds import Instance
from onnxlin.section.gates import HALVES, Choice

Names = Iterable[str] | str | None
DIRECTIONS = tuple(NAMES)


def compile_model(
    model: Model,
    path: str | os.PathLike[str] | None = None,
    *,
    inputs: Names = None,
    outputs: Names = None,
    rows: Any = None,
    mode: str = "tangent",
    rounding: str = STAIRCASE,
    gates: Choice = HALVES,
    x: Instance | None = None,
    shapes: Shapes | None = None,
    direction: str = ADJOINT,
    shares: bool = False,
    batch: bool = False,
    provider: str = CPU,
    external_data: bool | None = None,
    base_dir: Path | None = None,
) -> onnx.ModelProto:
    """Write the affine map at any x as one ONNX model, which any ONNX runtime runs.

    It takes the model's own inputs and ``seeds`` (K, n_out), any K; it returns the model's outputs,
    ``seeds_W`` (K, n_in) = seeds @ W and ``seeds_b`` (K,) = seeds @ b, or for ``tangents``
    (K, n_in) ``W_tangents`` (K, n_out) = tangents @ W.T. See docs/compiled.md.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto, or a model of a framework, which is exported at x
    path : path, optional, where to save it
    inputs, outputs, mode, rounding, gates, base_dir : as for `Linearizer`
    rows : indices or combinations, optional, the seeds that are taken when none are given
    x : array, or {input name: array}, optional
        An instance. Its shapes count, its values do not: it is run once, and made up if left out.
    shapes : {input name: shape}, optional, of inputs that the model leaves open; instead of x
    direction : {"adjoint", "tangent"}
    shares : bool, a further output ``shares`` (K, nodes): what each node brings in to ``seeds_b``
    batch : bool, whether to take any number of instances, with seeds of each; see docs/ship.md
    provider : str, the execution provider of onnxruntime that is to run it, installed here or not
    external_data : bool, optional, weights beside ``path``; by default where a file is too small

    Raises
    ------
    CompileError
        A rule decides from values at x, or needs what has no form in a graph.
    LimitError, InputError, RowsError, TraceError, and what a `Linearizer` raises
    """
    require_mode(mode)
    require_rounding(rounding)
    require_known(provider)
    _require_direction(direction, shares, rows, batch=batch)
    inputs, model = listed(inputs), exported(model, x)
    section = _section(load(model, _given(inputs, x), base_dir), inputs, outputs, rounding, gates)
    compiled = compiled_at(section, mode, x, shapes, direction, provider=provider)
    made = filled(compiled.model, compiled.weights)
    _finish(made, compiled, rows, shares)
    made = _batched(made) if batch else made
    describe(made, compiled, Facts(section, mode, sha256(model), shares, batch))
    if path is not None:
        save(made, path, external_data)
    return made


def _given(inputs: list[str] | None, x: Instance | None) -> list[str]:
    """Name what is no constant: initialisers that x gives are inputs of the graph."""
    return [*(inputs or ()), *(x if isinstance(x, Mapping) else ())]


def _section(graph: Graph, inputs: Names, outputs: Names, rounding: str, gates: Choice) -> Section:
    section = make_section(graph, inputs, outputs, rounding, gates=gates)
    require_rules(section)
    return section


def compiled_at(
    section: Section,
    mode: str,
    x: Instance | None = None,
    shapes: Shapes | None = None,
    direction: str = ADJOINT,
    *,
    provider: str = CPU,
) -> Compiled:
    """Compile a section at an instance, or at one made up, and open what comes of it.

    Raises
    ------
    CompileError, LimitError
    """
    feeds = example_feeds(section, x, shapes)
    try:
        compiled = compile_section(
            section, mode, feeds, direction=direction, alone=True, steep=provider == CPU
        )
        session(compiled.model, compiled.weights)
    except LimitError:
        raise
    except (NotStaticError, ModelError) as error:
        raise CompileError(
            f"This model cannot be compiled: {error}. Linearise it at one x after another with "
            "onnxlin.linearize, or leave that part out with inputs= and outputs=."
        ) from error
    except TraceError as error:
        if x is not None:
            raise
        raise TraceError(
            f"{error} The instance was made up from the input shapes: give a real one as x=."
        ) from error
    return compiled


def _require_direction(direction: str, shares: bool, rows: Any, *, batch: bool) -> None:
    if direction not in DIRECTIONS:
        raise OptionError(f"direction={direction!r}; expected one of {list(DIRECTIONS)}.")
    if direction != ADJOINT and (shares or rows is not None):
        raise OptionError(
            f"direction={direction!r} takes tangents, so there are no rows= and no shares= of b. "
            f"Leave them out, or compile with direction={ADJOINT!r}."
        )
    if batch and rows is not None:
        raise OptionError(
            "rows= are stored for one instance, and batch=True takes seeds of each. Leave one out."
        )


def _batched(made: onnx.ModelProto) -> onnx.ModelProto:
    """Take N instances, and open what comes of it."""
    found = batched(made)
    if size(found) <= MOST_INSIDE:  # what is larger has no bytes to be opened by
        session(found)
    return found


def _finish(made: onnx.ModelProto, compiled: Compiled, rows: Any, shares: bool) -> None:
    """Keep the outputs asked for, and store the seeds to take when none are given."""
    graph = made.graph
    if compiled.shares and not shares:
        drop_output(graph, compiled.shares)
    if rows is not None:
        seeds = make_seeds(rows, compiled.n_rows).dense(slice(None), compiled.dtype)
        graph.initializer.append(onnx.numpy_helper.from_array(seeds, compiled.seeds))
