"""Captum's and shap's interfaces say what the map says; annotated copies compute what models do."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxlin
from onnxlin.readings import Attributor, Explainer, annotated
from tests.small import mlp, model

XS = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)
TWO = """g (float[1,2] a, float[1,3] b, int64[1] k) => (float[1,2,2] y) <int64[3] s = {1,2,2}> {
    c = Cast <to = 1> (k)  m = ReduceSum <keepdims = 1> (b)  r = Relu(a)  t = Mul(r, m)
    u = Concat <axis = 1> (t, a)  v = Mul(u, c)  y = Reshape(v, s) }"""


def test_attributions_are_contributions() -> None:
    lin = onnxlin.Linearizer(mlp())
    attributor = Attributor(lin)
    for target in (0, 1):
        found = attributor.attribute(XS, target=target)
        assert (type(found), found.shape) == (np.ndarray, XS.shape)
        for row, m in zip(found, lin.map(XS), strict=True):
            np.testing.assert_allclose(row, m.contributions[target], rtol=1e-6, atol=1e-9)
    each = attributor.attribute((XS,), target=[0, 1, 1, 0])
    assert isinstance(each, tuple)
    np.testing.assert_array_equal(each[0][1], attributor.attribute(XS, target=1)[1])


def test_the_delta_is_what_the_map_does_not_know() -> None:
    """sum of W (x - x0) - (F(x) - F(x0)): rounding alone at x itself."""
    lin = onnxlin.Linearizer(mlp())
    at = 0.5 * XS
    found, delta = Attributor(lin).attribute(XS, at, target=1, return_convergence_delta=True)
    for x, x0, parts, gap in zip(XS, at, found, delta, strict=True):
        y, y0 = (lin.run(v[None])["y"][0, 1] for v in (x, x0))
        assert gap == pytest.approx(parts.sum() - (float(y) - float(y0)))
        m = lin(x[None], rows=[1])
        np.testing.assert_allclose(parts, m.W[0] * (m.x - x0), rtol=1e-6, atol=1e-9)
    same, delta = Attributor(lin).attribute(XS, XS, target=1, return_convergence_delta=True)
    assert not same.any()
    assert not delta.any()


def test_several_inputs_and_outputs_with_axes() -> None:
    rng, count = np.random.default_rng(1), 3
    a, b = rng.normal(size=(count, 2)), rng.normal(size=(count, 3))
    k = np.array([1, 2, 3])
    attributor = Attributor(model(TWO))
    found = attributor.attribute((a, b), target=(0, 1), additional_forward_args=k)
    assert [part.shape for part in found] == [a.shape, b.shape]
    for i in range(count):
        x = {"a": a[i : i + 1], "b": b[i : i + 1], "k": k[i : i + 1]}
        own = onnxlin.linearize(model(TWO), x).contributions[1]
        np.testing.assert_allclose(np.concatenate([p[i] for p in found]), own, rtol=1e-5, atol=1e-7)
    cases = (
        ({"target": None}, "4 outputs a sample"),
        ({"target": (0, 2)}, "shape"),
        ({"target": [0]}, "1 outputs for 3 samples"),
    )
    for asked, message in cases:
        with pytest.raises(onnxlin.RowsError, match=message):
            attributor.attribute((a, b), additional_forward_args=k, **asked)
    with pytest.raises(onnxlin.InputError, match=r"1 arrays; expected one for each of \['a', 'b'"):
        attributor.attribute(a, target=0, additional_forward_args=k)


def test_tensors_in_tensors_out() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(XS, requires_grad=True)
    found = Attributor(mlp()).attribute(x, target=1)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), Attributor(mlp()).attribute(XS, target=1), rtol=1e-6)


def test_an_explainer_of_shap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that the model has; against the mean of the background."""
    stub = ModuleType("shap")
    vars(stub)["Explanation"] = SimpleNamespace
    monkeypatch.setitem(sys.modules, "shap", stub)
    proto = mlp()
    names = {"features": ["u", "v", "w"], "classes": ["no", "yes"]}
    onnx.helper.set_model_props(proto, {key: json.dumps(value) for key, value in names.items()})
    explainer = Explainer(proto, XS[2:])
    found = explainer(XS[:2])
    assert (found.feature_names, found.output_names) == (["u", "v", "w"], ["no", "yes"])
    x0 = XS[2:].astype(np.float64).mean(axis=0)
    for i, m in enumerate(onnxlin.Linearizer(proto).map(XS[:2])):
        np.testing.assert_allclose(found.values[i], (m.W * (m.x - x0)).T, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.base_values[i], m(x0), rtol=1e-6)
    np.testing.assert_array_equal(explainer.shap_values(XS[:2]), found.values)
    with pytest.raises(onnxlin.InputError, match="no samples"):
        explainer(XS[:0])


def test_an_annotated_copy_computes_what_the_model_does() -> None:
    lin = onnxlin.Linearizer(mlp())
    m = lin(XS[:1])
    made = annotated(m, lin)
    onnx.checker.check_model(made)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    np.testing.assert_allclose(session.run(None, {"x": XS[:1]})[0].ravel(), m.y, rtol=1e-6)
    told = {n.name: {e.key: e.value for e in n.metadata_props} for n in made.graph.node}
    assert told["first"]["onnxlin.status"] == "exact"
    share, total = m.bias_by_node["first"][1], m.b[1]
    assert told["first"]["onnxlin.bias 1"] == f"{share:.6g} of b = {total:.6g}"
    live = np.count_nonzero(m.layers[1].terms["h"].diagonal())
    assert told["act"]["onnxlin.live h"].startswith(f"{live} of 4")
    bare = onnx.ModelProto()
    bare.CopyFrom(made)
    for node in bare.graph.node:
        del node.metadata_props[:]
    bare.ir_version = lin.graph.model.ir_version
    assert bare.graph == lin.graph.model.graph
