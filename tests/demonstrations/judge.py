"""One node, the same inputs, two runtimes: what each answers, and how the answers differ."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from onnxlin import AffineMap, Linearizer, OnnxlinError
from onnxlin.graph import Array
from onnxlin.graph.subgraphs import implicit
from onnxlin.program.roundoff import runs
from onnxlin.testing import GrownModel
from onnxlin.testing.models import run

# Their outputs are drawn at random.
RANDOM = frozenset({"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
                    "Bernoulli", "Multinomial"})  # fmt: skip

CRASH, SHAPE, DTYPE, VALUES, WITHIN = "crash", "shape", "dtype", "values", "within rounding"


@dataclass(frozen=True, eq=False)
class Call:
    """A model of one node, and what it is fed.

    Parameters
    ----------
    model : onnx.ModelProto
    feeds : {input: array}
    """

    model: onnx.ModelProto
    feeds: Mapping[str, Array]

    @property
    def node(self) -> onnx.NodeProto:
        """The node."""
        return self.model.graph.node[0]

    def run(self) -> list[Array]:
        """What onnxruntime answers, its optimisers off."""
        return run(self.model, dict(self.feeds))

    def evaluate(self) -> list[Array]:
        """What the reference evaluator answers."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ReferenceEvaluator(self.model).run(None, dict(self.feeds))


@dataclass(frozen=True, eq=False)
class Finding:
    """A difference between the two.

    Parameters
    ----------
    op_type, kind : str
    detail : str
        What distinguishes it from others of the kind.
    call : Call
    runtime, reference : array, or None
        The two answers, of the output that differs; None for a crash of the evaluator.
    third : array or None
        F(x) = W x + b by the rules of onnxlin, in float64, where it has a rule of its own.
    allowed : array or None
        What rounding allows between the two.
    """

    op_type: str
    kind: str
    detail: str
    call: Call
    runtime: Array
    reference: Array | None
    third: Array | None = None
    allowed: Array | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal keys are taken for one finding."""
        return self.op_type, self.kind, self.detail


def calls(grown: GrownModel) -> Iterator[Call]:
    """Every node of a model as a model of its own, fed what onnxruntime has there."""
    values = _values(grown)
    stored = {t.name: t for t in grown.model.graph.initializer}
    for node in grown.model.graph.node:
        reads = list(dict.fromkeys([name for name in (*node.input, *implicit(node)) if name]))
        fed = {name: values[name] for name in reads if name not in stored}
        graph = onnx.helper.make_graph(
            [node],
            "one",
            [_info(name, value) for name, value in fed.items()],
            [_info(name, values[name]) for name in node.output if name],
            [stored[name] for name in reads if name in stored],
        )
        imports, version = grown.model.opset_import, grown.model.ir_version
        model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=version)
        yield Call(model, fed)


def _values(grown: GrownModel) -> dict[str, Array]:
    model = onnx.ModelProto()
    model.CopyFrom(grown.model)
    del model.graph.output[:]
    names = [o for node in model.graph.node for o in node.output if o]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return dict(zip(names, run(model, grown.x), strict=True)) | grown.x


def _info(name: str, value: Array) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, value.shape)


def judge(call: Call) -> Finding | None:
    """Compare the answers; None where they are the same bits."""
    op_type, native = call.node.op_type, call.run()
    try:
        found = call.evaluate()
    except Exception as error:  # whatever it raises is the finding
        # Shapes and axes in a message do not make it another one.
        words = re.sub(r"-?\d+", "#", " ".join(str(error).split()))
        words = re.sub(r"([(\[])[# ,()\[\]]*([)\]])", r"\1#\2", words)[:120]
        words = f"{type(error).__name__}: {words}"
        return Finding(op_type, CRASH, words, call, native[0], None)
    for i, (ours, theirs) in enumerate(zip(native, found, strict=True)):
        one = Finding(op_type, "", f"output {i}", call, ours, np.asarray(theirs))
        if not isinstance(theirs, np.ndarray) or theirs.dtype != ours.dtype:
            kind = f"{type(theirs).__name__} {getattr(theirs, 'dtype', '')}".strip()
            return _named(one, DTYPE, f"output {i}: {ours.dtype} and {kind}")
        if theirs.shape != ours.shape:
            return _named(one, SHAPE, f"output {i}")
        if op_type not in RANDOM and not np.array_equal(ours, theirs, equal_nan=_is_float(ours)):
            return _by_value(one, i)
    return None


def _is_float(value: Array) -> bool:
    return value.dtype.kind == "f"


def _named(one: Finding, kind: str, detail: str, **more: Any) -> Finding:
    return Finding(one.op_type, kind, detail, one.call, one.runtime, one.reference, **more)


def _by_value(one: Finding, i: int) -> Finding:
    """Say whether rounding explains a difference of values."""
    assert one.reference is not None
    third, allowed = by_rules(one.call, i) if _is_float(one.runtime) else (None, None)
    limit = np.zeros(()) if allowed is None else 2 * allowed
    gap = np.abs(one.runtime.astype(np.float64) - one.reference.astype(np.float64))
    same = (one.runtime == one.reference) | (gap <= limit)
    kind = WITHIN if same.all() else VALUES
    return _named(one, kind, one.detail, third=third, allowed=allowed)


def by_rules(call: Call, i: int) -> tuple[Array | None, Array | None]:
    """Output i by the rules of onnxlin in float64, and how far one runtime may be off by rounding.

    The pattern (masks, winners) is that of onnxruntime's run; the numbers are onnxlin's own.
    """
    output = [name for name in call.node.output if name][i]
    floats = [name for name, value in call.feeds.items() if _is_float(value)]
    m = next(filter(None, (_map(call, output, ends) for ends in (floats, floats[:1]))), None)
    if m is None:
        return None, None
    origin = m.made_from("a demonstration")
    program, values = origin.program, origin.values
    ran = (ran for ran in runs(program.steps, values) if ran.piece.output == output)
    if (made := next(ran, None)) is None:
        return None, None
    own = program.forward(m.x, {output})[output]
    return np.asarray(own, np.float64), made.error


def _map(call: Call, output: str, inputs: list[str]) -> AffineMap | None:
    """The map of an output from some inputs; None where no rule can say it."""
    try:
        lin = Linearizer(call.model, inputs=inputs, outputs=[output])
        return lin(dict(call.feeds), dtype=np.float64)
    except OnnxlinError:
        return None


def judged_third(one: Finding) -> str:
    """Whose side the third answer takes."""
    if one.third is None or one.allowed is None or one.reference is None:
        return "no third answer"
    sides: Sequence[tuple[str, Array]] = (
        ("onnxruntime", one.runtime),
        ("the evaluator", one.reference),
    )
    near = [
        name
        for name, value in sides
        if value.shape == one.third.shape
        and bool((np.abs(value.astype(np.float64) - one.third) <= one.allowed).all())
    ]
    return " and ".join(near) or "neither"
