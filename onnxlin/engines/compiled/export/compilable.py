"""What can be told of a model beforehand: every node's status, and whether the whole compiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from onnxlin.engines.compiled.export.example import opened_shapes
from onnxlin.engines.compiled.export.export import compiled_at
from onnxlin.errors import (
    CompileError,
    InputError,
    LimitError,
    ModelError,
    OnnxlinError,
    TraceError,
)
from onnxlin.load import Model, Path, load
from onnxlin.program.check import Report, report
from onnxlin.section import MODES, STAIRCASE, Section, make_section, require_rounding
from onnxlin.section.ends import listed
from onnxlin.section.feeds import unfeedable
from onnxlin.section.trace import Tracer

Verdict = tuple[bool | None, str | None]
"""Whether the whole compiles, None where that was not tried; and why not."""

LARGEST = 2**30
"""Bytes of weights up to which compiling is tried unasked: it takes one run of the model."""

LENGTHS = (1, 16, 64, 0)
"""Lengths to try for axes that the model leaves open."""


def check_model(
    model: Model,
    *,
    inputs: Iterable[str] | str | None = None,
    outputs: Iterable[str] | str | None = None,
    rounding: str = STAIRCASE,
    compiles: bool | None = None,
    base_dir: Path | None = None,
) -> Report:
    """Report the status of every node, and whether the model compiles.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
    inputs, outputs : tensor names, optional
        The ends of what is to be linearised; by default all float inputs and outputs.
    rounding : {"staircase", "straight-through"}
        The reading of rounding; see `Linearizer`.
    compiles : bool, optional
        Whether to try to compile, which runs the model once on made-up numbers; by default unless
        its weights take more than 1 GiB.
    base_dir : path, optional
        The folder of the files that hold the model's weights beside it; see `Linearizer`.
    """
    require_rounding(rounding)
    inputs = listed(inputs)
    graph = load(model, inputs or (), base_dir)
    section = make_section(graph, inputs, outputs, rounding)
    found = report(section)
    found = replace(found, refused=_refused(section) if found.ok else None)
    compiled, why = _verdict(section, found, compiles)
    return replace(found, compiles=compiled, not_compiled_because=why)


def _refused(section: Section) -> str | None:
    """Say why no instance can be fed, or what onnxruntime says of the nodes that the map needs."""
    unfed = unfeedable(section.graph.inputs)
    if unfed:
        return unfed
    if sum(array.nbytes for array in section.graph.initialisers.values()) > LARGEST:
        return None  # opening it takes as long as a run of smaller ones
    try:
        Tracer(section, {})
    except ModelError as error:
        return str(error)
    return None


def _verdict(section: Section, found: Report, asked: bool | None) -> Verdict:
    if not found.ok:
        return False, found.refused or "nodes stand in the way"
    weight = sum(array.nbytes for array in section.graph.initialisers.values())
    if asked is False:
        return None, "not tried"
    if asked is None and weight > LARGEST:
        return None, f"not tried: the weights take {weight / 2**30:.1f} GiB"
    smooth = any(node.status == "smooth" for node in found.nodes)
    for mode in MODES if smooth else MODES[:1]:
        compiled, why = _trial(section, mode)
        if not compiled:
            return compiled, f"{why} ({mode} mode)" if smooth and why else why
    return True, None


def _trial(section: Section, mode: str) -> Verdict:
    """Compile at made-up numbers."""
    trouble = ""
    for length in LENGTHS:
        shapes = opened_shapes(section, length)
        try:
            compiled_at(section, mode, shapes=shapes)
        except CompileError as error:
            return False, str(error.__cause__)
        except (InputError, LimitError, TraceError) as error:
            trouble = str(error)
            if not shapes:
                break
        except OnnxlinError as error:  # a rule refuses what it sees at x
            return False, str(error)
        else:
            return True, None
    return None, f"not tried: {trouble}"
