"""Models of frameworks, each by its own exporter where that is installed; refusals without it."""

from __future__ import annotations

import json
import sys
import types
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.load import EXPORTED_BY
from onnxlin.load.exported import framework_of, frameworks
from tests.small import X, mlp

RNG = np.random.default_rng(0)


def look_alike(module: str, name: str, **own: Any) -> Any:
    """An object whose class is named like a framework's, of a class derived from it."""
    base = type(name, (), {"__module__": module})
    return type("Own", (base,), {"__module__": "mine", "__call__": lambda self, x: x, **own})()


KINDS = {
    "torch": ("torch.nn.modules.module", "Module"),
    "keras": ("keras.src.models.model", "Model"),
    "sklearn": ("sklearn.base", "BaseEstimator"),
    "jax": ("flax.nnx.module", "Module"),
}
EXPORTERS = {"torch": "torch", "keras": "keras", "sklearn": "skl2onnx", "jax": "jax2onnx"}


@pytest.mark.parametrize("framework", KINDS)
def test_a_missing_exporter_is_named(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The framework is known by its classes' names; nothing of it is imported."""
    held = look_alike(*KINDS[framework])
    assert framework_of(held) == framework

    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(frameworks, "import_module", absent)
    doors = (
        lambda: onnxlin.linearize(held, X),
        lambda: onnxlin.Linearizer(held),
        lambda: onnxlin.check_model(held),
        lambda: onnxlin.compile_model(held),
        lambda: onnxlin.testing.assert_linearizes(held, X),
        lambda: onnxlin.export_model(held),
    )
    for door in doors:
        with pytest.raises(onnxlin.ModelError, match=rf"Own.*pip install {EXPORTERS[framework]}"):
            door()


@pytest.mark.parametrize("held", [3, None, object(), print, int, look_alike("numpy", "Module")])
def test_what_is_of_no_framework_is_told_what_is_taken(held: Any, monkeypatch: Any) -> None:
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    assert framework_of(held) is None
    with pytest.raises(onnxlin.ModelError, match=r"torch\.nn\.Module.*JAX callable.*, not "):
        onnxlin.Linearizer(held)


def test_a_function_is_one_of_jax_where_jax_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", types.ModuleType("jax"))
    assert framework_of(np.tanh.__call__) is None
    assert framework_of(lambda x: x) == "jax"
    assert framework_of(int) is None


def test_what_an_exporter_raises_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter that has its own errors, and what it says of the model is in ours."""

    def refuse(*_: Any, **__: Any) -> None:
        raise KeyError("no such layer")

    jax2onnx = types.ModuleType("jax2onnx")
    vars(jax2onnx)["to_onnx"] = refuse
    numpy = types.SimpleNamespace(asarray=np.asarray)
    jax = types.ModuleType("jax")
    vars(jax).update(numpy=numpy, tree_util=types.SimpleNamespace(tree_leaves=lambda y: [y]))
    monkeypatch.setitem(sys.modules, "jax2onnx", jax2onnx)
    monkeypatch.setitem(sys.modules, "jax", jax)
    with pytest.raises(onnxlin.ModelError, match=r"refused it: KeyError: 'no such layer'"):
        onnxlin.linearize(lambda x: x, X)
    with pytest.raises(onnxlin.ModelError, match=r"there is none\. Give one: .*example=x"):
        onnxlin.Linearizer(lambda x: x)
    with pytest.raises(onnxlin.ModelError, match=r"names \['a'\], .* arguments are \['x'\]"):
        onnxlin.linearize(lambda x: x, {"a": X})


def test_an_exported_model_says_so_in_every_map_and_file() -> None:
    """The entry is text of a file: it is made short, and no terminal takes it for orders."""
    proto = mlp()
    onnx.helper.set_model_props(proto, {EXPORTED_BY: "a maker\x1b[2J" + "of things " * 100})
    (note,) = onnxlin.linearize(proto, X).notes
    assert note.startswith("exported from a maker")
    assert "\x1b" not in note
    assert len(note) < 600


THEIRS = pytest.mark.filterwarnings("ignore")  # what frameworks say of each other


@THEIRS
def test_torch_modules() -> None:
    """In evaluation mode whatever theirs, which they keep; inputs by their names in any order."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
            self.drop, self.last = nn.Dropout(0.5), nn.Linear(4, 2)

        def forward(self, x: Any, z: Any) -> Any:
            return self.last(self.drop(torch.relu(self.norm(self.first(x))))) - z

    net, x, z = Net(), RNG.normal(size=(2, 3)), RNG.normal(size=(2, 2))
    net.last.eval()
    m = onnxlin.linearize(net, {"z": z, "x": x}).verify()
    assert (net.training, net.drop.training, net.last.training) == (True, True, False)
    net.eval()
    with torch.no_grad():
        own = net(*(torch.tensor(v, dtype=torch.float32) for v in (x, z))).numpy()
    np.testing.assert_allclose(m.y, own.ravel(), rtol=1e-5, atol=1e-6)
    assert set(m.inputs) == {"x", "z"}
    assert "torch.onnx.export(dynamo=" in m.notes[0]
    assert "in evaluation mode, though" in m.notes[0]
    traced = onnxlin.export_model(net, {"x": x, "z": z}, dynamo=False)
    assert onnxlin.readings.compare(traced, net, {"x": x, "z": z}).same
    with pytest.raises(onnxlin.ModelError, match=r"the example has \['q'\], forward\(\) takes"):
        onnxlin.export_model(net, {"q": x})
    with pytest.raises(onnxlin.ModelError, match="there is none"):
        onnxlin.check_model(net)
    assert onnxlin.check_model(net, example={"x": x, "z": z}).ok
    net.example_input_array = {"x": x, "z": z}
    assert onnxlin.check_model(net).ok


@THEIRS
def test_sklearn_estimators() -> None:
    """Names of features and classes come along; the map is that of what the estimator says."""
    pytest.importorskip("skl2onnx")
    linear = pytest.importorskip("sklearn.linear_model")
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame(RNG.normal(size=(40, 3)), columns=["u", "v", "w"])
    y = np.array(["no", "yes"])[(x["u"] > 0).astype(int)]
    with pytest.raises(onnxlin.ModelError, match="NotFittedError"):
        onnxlin.Linearizer(linear.LogisticRegression())
    fitted = linear.LogisticRegression().fit(x, y)
    lin = onnxlin.Linearizer(fitted)
    told = {e.key: e.value for e in lin.graph.model.metadata_props}
    assert json.loads(told["features"]) == ["u", "v", "w"]
    assert json.loads(told["classes"]) == ["no", "yes"]
    m = lin(x[["w", "u", "v"]][:1]).verify()  # by name
    np.testing.assert_allclose(m.y, fitted.predict_proba(x[:1])[0], rtol=1e-5)
    regression = linear.LinearRegression().fit(x, x["v"] * 2 + 1)
    m = onnxlin.linearize(regression, x[:1]).verify()
    np.testing.assert_allclose(m.W, [regression.coef_], rtol=1e-5, atol=1e-6)
    assert "skl2onnx" in m.notes[0]
    assert "are within" in m.notes[0]


@THEIRS
def test_estimators_of_mixed_columns() -> None:
    """A frame with text becomes one input a column."""
    pytest.importorskip("skl2onnx")
    pandas = pytest.importorskip("pandas")
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    x = pandas.DataFrame({"u": RNG.normal(size=20), "k": ["p", "q"] * 10})
    parts = [("n", StandardScaler(), ["u"]), ("k", OneHotEncoder(), ["k"])]
    fitted = make_pipeline(ColumnTransformer(parts), LinearRegression()).fit(x, x["u"] + 1)
    x["k"] = x["k"].astype("category")
    m = onnxlin.linearize(fitted, x[["k", "u"]][:1]).verify()
    np.testing.assert_allclose(m.y, fitted.predict(x[:1]), rtol=1e-5)


@THEIRS
def test_jax_callables() -> None:
    """Plain functions, jitted ones, and modules of others."""
    jax = pytest.importorskip("jax")
    pytest.importorskip("jax2onnx")
    W = jax.numpy.asarray(RNG.normal(size=(3, 2)).astype(np.float32))

    def f(x: Any, z: Any) -> Any:
        return jax.nn.relu(x @ W) + z

    x, z = RNG.normal(size=(1, 3)), RNG.normal(size=(1, 2))
    for each in (f, jax.jit(f)):
        m = onnxlin.linearize(each, {"z": z, "x": x}).verify()
        np.testing.assert_allclose(m.y, np.asarray(f(x, z)).ravel(), rtol=1e-5)
        assert "jax2onnx" in m.notes[0]


@THEIRS
def test_keras_models() -> None:
    keras = pytest.importorskip("keras")
    layers = [keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)]
    model, x = keras.Sequential(layers), RNG.normal(size=(1, 3)).astype(np.float32)
    with pytest.raises(onnxlin.ModelError, match="there is none"):
        onnxlin.Linearizer(model)
    m = onnxlin.linearize(model, x).verify()
    own = keras.ops.convert_to_numpy(model(x)).ravel()
    np.testing.assert_allclose(m.y, own, rtol=1e-5, atol=1e-6)
    assert f"keras {keras.__version__}" in m.notes[0]
    onnxlin.Linearizer(model)(x).verify()  # which knows its input by now
