"""What `check` says of compiling is so, and nothing but an OnnxlinError ever comes out."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxlin
from onnxlin.section import MODES
from onnxlin.testing import GrownModel, onnx_models
from onnxlin.testing.models import MAKERS
from tests.corpus import PARTS, part
from tests.engines.compiled.elsewhere import plain
from tests.engines.compiled.exported import run, session
from tests.installed import require_definitions
from tests.longer import LONG

few = settings(max_examples=max(settings().max_examples // 16, 1))
SLOW = "NCd1d2d3d4d5"  # a minute each, like others of fewer axes
YES, NO, UNTRIED = True, False, None
# All of the specification's cases take minutes.
EVERY = 1 if LONG else 32


def tried(proto: onnx.ModelProto, mode: str) -> bool | None:
    """Whether a model compiles by itself; None where no instance could be made up."""
    try:
        onnxlin.compile_model(proto, mode=mode)
    except (onnxlin.CompileError, onnxlin.UnsupportedNodeError, onnxlin.MissingRuleError):
        return NO
    except (onnxlin.InputError, onnxlin.TraceError):
        return UNTRIED
    return YES


def held_to_its_word(proto: onnx.ModelProto) -> bool | None:
    """Ask `check`, and compile: any other error than one of onnxlin's own ends the test."""
    report = onnxlin.check_model(proto)
    found = [tried(proto, mode) for mode in MODES]
    if report.compiles is YES:
        # Of open shapes `check` tries some.
        assert set(found) <= {YES, UNTRIED}, (report, found)
    elif report.compiles is NO:
        assert NO in found or UNTRIED in found, (report, found)
        assert report.not_compiled_because
    return report.compiles


@pytest.mark.parametrize("letters", PARTS)
def test_the_specifications_cases(letters: str) -> None:
    require_definitions()
    words: Counter[bool | None] = Counter()
    for case in part(letters)[::EVERY]:
        if SLOW in case.name:
            continue
        try:
            words[held_to_its_word(case.model)] += 1
        except (onnxlin.InputError, onnxlin.TensorNameError, onnxlin.UnsupportedNodeError):
            continue  # nothing is float, or an old form has no newest one: no word is given
    assert words[YES]


@pytest.mark.parametrize("op_type", MAKERS)
@few
@given(data=st.data())
def test_every_operator(op_type: str, data: st.DataObject) -> None:
    grown: GrownModel = data.draw(onnx_models([op_type], max_nodes=2))
    word = held_to_its_word(grown.model)
    for mode in MODES:
        lin = onnxlin.Linearizer(grown.model, mode=mode, session_options=plain())
        try:
            m = lin(grown.x, engine="compiled")
        except onnxlin.OptionError:
            assert word is not YES
            continue
        made = onnxlin.compile_model(grown.model, mode=mode, x=grown.x)
        seeds = np.zeros((1, m.y.size), np.float32)
        answer = run(session(made), {**grown.x, "seeds": seeds})
        assert answer["seeds_W"].shape == (1, m.x.size)
