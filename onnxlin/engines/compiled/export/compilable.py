"""What can be told of a model beforehand: every node's status, and whether the whole compiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from onnxlin.engines.compiled.export.example import opened_shapes
from onnxlin.engines.compiled.export.export import compiled_at
from onnxlin.errors import CompileError, InputError, ModelError, OnnxlinError, TraceError
from onnxlin.load import Model, load
from onnxlin.program.check import Report, report
from onnxlin.runtime.sandbox import Sandbox, asked, boxed
from onnxlin.section import MODES, STAIRCASE, Section, make_section, require_rounding
from onnxlin.section.ends import listed
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
    sandbox: bool | Sandbox | None = None,
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
    sandbox : bool or onnxlin.Sandbox, optional
        For models that are not trusted: do all this in a process of its own, with limits of memory
        and time. Rules that were registered in this process are not known there.

    Raises
    ------
    SandboxError
        The code of onnx or onnxruntime crashed on the model, hung, or ran out of memory.
    ModelError, TensorNameError, OptionError
    """
    require_rounding(rounding)
    inputs = listed(inputs)
    if (box := Sandbox.of(sandbox)) is not None:
        asks = {"inputs": inputs, "outputs": listed(outputs), "rounding": rounding}
        found, _ = boxed(f"{__name__}:checked", {**asks, "compiles": compiles}, model, box)
        return Report.from_dict(found)
    section = make_section(load(model, inputs or ()), inputs, outputs, rounding)
    found = report(section)
    found = replace(found, refused=_refused(section) if found.ok else None)
    compiled, why = _verdict(section, found, compiles)
    return replace(found, compiles=compiled, not_compiled_because=why)


def checked(arguments: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Do what `check_model` has a child do."""
    model, _ = asked(arguments, blobs)
    return check_model(model, **arguments).as_dict(), []


def _refused(section: Section) -> str | None:
    """What onnxruntime says of the nodes that the map needs, where it does not load them."""
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
        except (InputError, TraceError) as error:
            trouble = str(error)
            if not shapes:
                break
        except OnnxlinError as error:  # a rule refuses what it sees at x
            return False, str(error)
        else:
            return True, None
    return None, f"not tried: {trouble}"
