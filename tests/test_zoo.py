"""Any folder of models, in both readings: set ONNXLIN_ZOO to one."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxlin
from onnxlin import AffineMap, Linearizer
from tests.agree import assert_same_rows
from tests.engines.compiled.elsewhere import plain
from tests.longer import LONG
from tests.proofs import COMPOSITION, assert_all_listed, instance
from tests.small import zoo

ZOO = os.environ.get("ONNXLIN_ZOO", "")
MODELS = zoo(ZOO)
# What takes seconds a model is held on all of them in the long profile, else on the light ones.
SLOW = ("light_densenet121", "light_bvlc_alexnet", "open-nsfw")
LIGHT = [path for path in MODELS if LONG or (path.stat().st_size < 8e6 and path.stem not in SLOW)]
TWINS = [path for path in MODELS if path.with_name(path.name.replace(".ts.", ".dyn.")) != path]
TWINS = [path for path in TWINS if path.with_name(path.name.replace(".ts.", ".dyn.")) in MODELS]
pytestmark = pytest.mark.skipif(not ZOO, reason="ONNXLIN_ZOO names no folder of models")

# Rows of W for a model; in a large one a row takes a sweep of half a second.
ROWS = 3
# Models that cannot be linearised as a whole, with the reason.
NOT_LINEARISED: dict[str, str] = {}
# Models whose W x + b loses digits in float64 as well: their bounds decide nothing.
LOSES_DIGITS = {
    "light_bvlc_alexnet": "all weights of a layer are equal, so softmax takes the difference of "
    "logits that are a hundred million million times their differences",
}
# Nets that the two exporters write with constants that are not the same numbers.
FOLDED = {
    "torch-act_gelu_tanh": "the factors of the tanh formula",
    "torch-hf_vit": "the scale of attention",
    "torch-timm_swin": "the scale of attention",
    "torch-timm_vit_tiny": "the scale of attention",
}
# Models that do not compile, with the reason.
NOT_COMPILED = {
    "sklearn-bc_svc_rbf": "SVMClassifier: which class wins decides on the formula of its score",
}


def ids(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ZOO)) for path in paths]


def linearised(model: onnx.ModelProto, x: dict, mode: str, dtype: type) -> AffineMap:
    """The map of a few rows that are spread over the outputs."""
    lin = Linearizer(model, mode=mode)
    count = sum(y.size for y in lin.run(x).values())
    rows = np.linspace(0, count - 1, ROWS).astype(int) if count > ROWS else None
    return lin(x, rows=rows, dtype=dtype)


def test_zoo_holds_models() -> None:
    assert MODELS, f"no .onnx files below {ZOO}"
    print(Counter(path.parent.name for path in MODELS))


@pytest.mark.parametrize("path", MODELS, ids=ids(MODELS))
def test_zoo_model(path: Path) -> None:
    """F(x) = W x + b in both readings; where nothing is smooth there is only one."""
    model = onnx.load(path)
    report = onnxlin.check_model(model)
    if path.stem in NOT_LINEARISED:
        assert not report.ok
        assert_all_listed(model, report)
        return
    assert report.ok, report.obstacles
    x, statuses = instance(model, seed=0), set()
    for mode, dtype in (("tangent", np.float64), ("frozen", np.float64)):
        m = linearised(model, x, mode, dtype)
        if path.stem in LOSES_DIGITS and mode == "tangent":
            with pytest.raises(onnxlin.UndecidedError):
                m.verify()
        else:
            m.verify()
        assert (m.residual <= m.bound).all()
        assert (m.composition_residual <= m.composition_bound).all()
        if path.stem not in LOSES_DIGITS:
            assert m.composition_residual.max(initial=0) <= COMPOSITION
        statuses |= {layer.status for layer in m.layers}
        if "tangent" not in statuses:
            break
    print(path.stem, sorted(statuses))


@pytest.mark.parametrize("mode", ["tangent", "frozen"])
@pytest.mark.parametrize("path", TWINS, ids=ids(TWINS))
def test_both_exporters_give_the_same_map(path: Path, mode: str) -> None:
    """The two graphs compute the same y by different operators, so they have the same W.

    The composing in float64 is all that is rounded differently, but for folded constants, which
    differ by roundings of float32: those the bounds of the residual count.
    """
    one, other = onnx.load(path), onnx.load(path.with_name(path.name.replace(".ts.", ".dyn.")))
    x = instance(one, seed=0)
    again = dict(zip([info.name for info in other.graph.input], x.values(), strict=True))
    a, b = (linearised(m, at, mode, np.float64) for m, at in ((one, x), (other, again)))
    assert a.W.shape == b.W.shape
    assert (np.abs(a.y - b.y) <= a.bound * a.scale + b.bound * b.scale).all()
    folded = path.name.split(".")[0] in FOLDED
    relative = a.bound + b.bound if folded else a.composition_bound + b.composition_bound
    top = np.abs(a.W).max(axis=1, keepdims=True, initial=0)
    assert (np.abs(a.W - b.W) <= relative[:, None] * top).all()
    assert top.max() > 0 or mode == "frozen"  # a softmax at the end is held as a whole


@pytest.mark.parametrize("path", TWINS, ids=ids(TWINS))
def test_the_fused_graph_gives_the_same_map(path: Path, tmp_path: Path) -> None:
    """What onnxruntime makes of a graph, with fused operators, has its frozen map."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    models = [onnx.load(file) for file in (path, tmp_path / "fused.onnx")]
    x = instance(models[0], seed=0)
    a, b = (linearised(m, x, "frozen", np.float64) for m in models)
    top = np.abs(a.W).max(axis=1, keepdims=True, initial=0)
    assert (np.abs(a.W - b.W) <= (a.bound + b.bound)[:, None] * top).all()


@pytest.mark.parametrize("path", MODELS, ids=ids(MODELS))
def test_compiled_at_one_x_and_asked_at_another(path: Path) -> None:
    """Composing in float32 is rounded differently, and nothing else is different.

    What is left of W after large numbers have cancelled may be 0 in one of them: where its own size
    does not settle it, the sizes of what was added up do.
    """
    model = onnx.load(path)
    lin = Linearizer(model, session_options=plain())
    x = instance(model, seed=0)
    count = sum(y.size for y in lin.run(x).values())
    rows = np.linspace(0, count - 1, ROWS).astype(int)
    if path.stem.split(".")[0] in NOT_COMPILED:
        with pytest.raises(onnxlin.OptionError, match="engine='compiled' cannot serve"):
            lin(x, rows, engine="compiled")
        return
    lin(x, rows, engine="compiled")
    # Another x of the same shapes, brighter here and darker there.
    other = {
        n: (1.5 * v - 0.3).astype(v.dtype) if v.dtype.kind == "f" else v
        for n, v in instance(model, seed=1).items()
    }
    m, reverse = (lin(other, rows, engine=engine) for engine in ("compiled", "reverse"))
    assert (np.abs(m.y - reverse.y) <= reverse.bound * reverse.scale).all()
    relative = m.composition_bound + reverse.composition_bound
    top = np.abs(reverse.W).max(axis=1, keepdims=True, initial=0)
    if not (np.abs(m.W - reverse.W) <= relative[:, None] * top).all():
        assert_same_rows(reverse, m.W, anew=True)
    assert (np.abs(m.b - reverse.b) <= relative * reverse.scale).all()
