"""What can be told of a model beforehand: every node's status, and whether the whole compiles."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from onnxlin.engines.compiled.export.example import Shapes, example_feeds, opened_shapes
from onnxlin.engines.compiled.export.export import compiled_at
from onnxlin.errors import (
    CompileError,
    InputError,
    LimitError,
    ModelError,
    OnnxlinError,
    TraceError,
)
from onnxlin.load import Model, Path, exported, load
from onnxlin.program.check import Report, report
from onnxlin.runtime.deadline import require_seconds, require_time, within
from onnxlin.runtime.sandbox import Sandbox, asked, boxed
from onnxlin.section import MODES, STAIRCASE, Section, make_section, require_rounding
from onnxlin.section.bounded import unbounded
from onnxlin.section.ends import listed
from onnxlin.section.feeds import unfeedable
from onnxlin.section.trace import Tracer

Verdict = tuple[bool | None, str | None]
"""Whether the whole compiles, None where that was not tried; and why not."""

LARGEST = 2**30
"""Bytes of weights up to which compiling is tried unasked: it takes one run of the model."""

MOST_NODES = 5_000
"""Nodes up to which compiling is tried unasked: a graph of some times as many comes of it."""

LENGTHS = (1, 16, 64, 0)
"""Lengths to try for axes that the model leaves open."""

_LEFT = "not tried: "


def check_model(
    model: Model,
    *,
    inputs: Iterable[str] | str | None = None,
    outputs: Iterable[str] | str | None = None,
    rounding: str = STAIRCASE,
    compiles: bool | None = None,
    base_dir: Path | None = None,
    time: float | None = None,
    sandbox: bool | Sandbox | None = None,
    example: Any = None,
) -> Report:
    """Report the status of every node, and whether the model compiles.

    No part of the model is run before it is known what that costs, in rounds of loops and entries
    of tensors (`onnxlin.limits`); ``not_run`` of the report says what was left out.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto, or a model of a framework
    inputs, outputs : tensor names, optional
        The ends of what is to be linearised; by default all float inputs and outputs.
    rounding : {"staircase", "straight-through"}, see `Linearizer`
    compiles : bool, optional
        Whether to try to compile, which runs the model once on made-up numbers; by default unless
        its weights take more than 1 GiB, or it has more than 5,000 nodes.
    base_dir : path, optional, see `Linearizer`
    time : float, optional
        Seconds after which it answers with what it has; reading the model is not cut short.
    sandbox : bool or onnxlin.Sandbox, optional
        For models that are not trusted: in a process with limits of memory and time, where rules
        that were registered in this process are not known.
    example : x, optional; a model of a framework is exported at it

    Raises
    ------
    SandboxError
        The code of onnx or onnxruntime crashed on the model, hung, or ran out of memory.
    ModelError, TensorNameError, OptionError
    """
    require_rounding(rounding)
    require_seconds(time)
    inputs, model = listed(inputs), exported(model, example)
    if (box := Sandbox.of(sandbox)) is not None:
        asks: dict[str, Any] = {"inputs": inputs, "outputs": listed(outputs), "rounding": rounding}
        asks |= {"compiles": compiles, "time": time, "base_dir": base_dir and os.fspath(base_dir)}
        answer, _ = boxed(f"{__name__}:checked", asks, model, box)
        return Report.from_dict(answer)
    graph = load(model, inputs or (), base_dir)
    section = make_section(graph, inputs, outputs, rounding)
    found = report(section)
    with within(time):
        if found.ok:
            found = _tried(section, found)
        compiled, why = _verdict(section, found, compiles)
    unrun = found.not_run
    if compiled is None and why is not None and why.startswith(_LEFT):
        unrun = unrun or (f"the whole, to compile it: {why.removeprefix(_LEFT)}",)
    return replace(found, compiles=compiled, not_compiled_because=why, not_run=unrun)


def checked(arguments: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Do what `check_model` has a child do."""
    model, _ = asked(arguments, blobs)
    return check_model(model, **arguments).as_dict(), []


def _tried(section: Section, found: Report) -> Report:
    """Let onnxruntime load what the map needs; fixed parts of a model are run for that."""
    unfed = unfeedable(section.graph.inputs)
    if unfed:
        return replace(found, refused=unfed)
    if sum(array.nbytes for array in section.graph.initialisers.values()) > LARGEST:
        return found  # opening it takes as long as a run of smaller ones
    fixed = section.touched - section.varying - section.graph.initialisers.keys()
    try:
        costs = unbounded(section.graph, {}, fixed) if fixed else None
        if costs is not None:
            return replace(found, not_run=(f"what is the same for every x: {costs}",))
        require_time()
        Tracer(section, {})
    except LimitError as error:
        _require_memory(error)
        if error.limit is None:
            return replace(found, not_run=(f"onnxruntime was not asked: {error}",))
        found = replace(found, refused=str(error))  # it is passed at every x
    except ModelError as error:
        return replace(found, refused=str(error))
    return found


def _require_memory(error: LimitError) -> None:
    """Raise an error that is no limit of ours, but that of the process."""
    if isinstance(error.__cause__, MemoryError):
        raise error


def _verdict(section: Section, found: Report, asked: bool | None) -> Verdict:
    if not found.ok:
        return False, found.refused or "nodes are unsupported"
    if asked is False:
        return None, "not tried"
    if (why := _too_much(section, found, asked)) is not None:
        return None, _LEFT + why
    smooth = any(node.status == "smooth" for node in found.nodes)
    for mode in MODES if smooth else MODES[:1]:
        compiled, why = _trial(section, mode)
        if not compiled:
            return compiled, f"{why} ({mode} mode)" if smooth and why else why
    return True, None


def _too_much(section: Section, found: Report, asked: bool | None) -> str | None:
    """Why compiling is not tried: it would take long, or its cost is not known."""
    weight = sum(array.nbytes for array in section.graph.initialisers.values())
    if asked is None and weight > LARGEST:
        return f"the weights take {weight / 2**30:.1f} GiB"
    if asked is None and len(found.nodes) > MOST_NODES:
        return f"the model has {len(found.nodes):,} nodes"
    return next(iter(found.not_run), None)


def _trial(section: Section, mode: str) -> Verdict:
    """Compile at made-up numbers, for which it is known beforehand what a run costs."""
    trouble = ""
    for length in LENGTHS:
        shapes = opened_shapes(section, length)
        try:
            _compile(section, mode, shapes)
        except CompileError as error:
            return False, str(error.__cause__)
        except LimitError as error:
            _require_memory(error)
            return None, f"{_LEFT}{error}"
        except (InputError, TraceError) as error:
            trouble = str(error)
            if not shapes:
                break
        except OnnxlinError as error:  # a rule refuses what it sees at x
            return False, str(error)
        else:
            return True, None
    return None, f"{_LEFT}{trouble}"


def _compile(section: Section, mode: str, shapes: Shapes) -> None:
    """Compile for made-up numbers of these shapes; LimitError where the cost is not known."""
    require_time()
    costs = unbounded(section.graph, example_feeds(section, None, shapes), section.touched)
    if costs is not None:
        raise LimitError(costs)
    compiled_at(section, mode, shapes=shapes)
