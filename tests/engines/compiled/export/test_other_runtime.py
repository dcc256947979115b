"""Another runtime, the reference evaluator of the onnx package, computes the same map."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import onnxlin
from tests.engines.compiled.export.test_export import SMALL, odd_instance
from tests.engines.compiled.exported import Reference
from tests.installed import absent
from tests.proofs import instance
from tests.test_fixtures import ODD, named

# What that evaluator itself cannot do.
LIMITS = {
    "conv3d": "ConvTranspose in three dimensions",
    "conv_transpose": "ConvTranspose in groups",
    "conv_transpose_sized": "ConvTranspose with an output padding",
    "empty_rows": "pools of no samples",
}
MODELS = [*SMALL, *(path for path in ODD if path.stem not in LIMITS)]


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("direction", ["adjoint", "tangent"])
@pytest.mark.parametrize("path", MODELS, ids=named)
def test_reference_evaluator(path, direction) -> None:
    proto = onnx.load(path)
    x = instance(proto, seed=5) if path in SMALL else odd_instance(path)
    want = Reference.at(path, x)
    made = onnxlin.compile_model(path, x=x, direction=direction)
    size = want.W.shape[direction == "tangent"]
    given = np.eye(min(size, 3), size, dtype=want.W.dtype)
    names = [output.name for output in made.graph.output]
    try:
        found = ReferenceEvaluator(made).run(None, {**x, made.graph.input[-1].name: given})
    except IndexError:
        absent("this evaluator cannot run it: older ones read past the end where they pad")
    answer = dict(zip(names, found, strict=True))
    if direction == "adjoint":
        want.assert_rows(given, answer)
    else:
        want.assert_columns(given, answer)
