"""The operators of ``ai.onnx.ml`` against the runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from scipy import special

import onnxlin
from tests.longer import LONG
from tests.rules.runtime_only import (
    ML,
    Array,
    assert_derivative,
    both_modes,
    node_model,
    numbers,
    refusal,
)

TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")
SHAPES = ((2, 4), (4,))


def ml(op_type: str, x: Array, fixed: dict[str, Array] | None = None, **options: Any) -> Any:
    return node_model(op_type, {"x": x}, fixed, domain=ML, **options)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 4])
def test_scaler(shape: tuple[int, ...], count: int) -> None:
    scale, offset = [0.5, 2.0, -1.0, 3.0][:count], [1.0, 0.5, 0.25, -2.0][:count]
    x = numbers(0, *shape)
    m, frozen = both_modes(ml("Scaler", x, scale=scale, offset=offset), {"x": x})
    want = np.broadcast_to(scale, shape).ravel()
    np.testing.assert_array_equal(m.W, np.diag(want))
    np.testing.assert_array_equal(m.b, -want * np.broadcast_to(offset, shape).ravel())
    np.testing.assert_array_equal(m.W, frozen.W)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_normalizer(shape: tuple[int, ...], norm: str) -> None:
    x = numbers(1, *shape)
    proto = ml("Normalizer", x, norm=norm)
    assert_derivative(proto, {"x": x})
    _, frozen = both_modes(proto, {"x": x})
    rows = np.atleast_2d(x).astype(np.float64)
    sizes = {
        "MAX": rows.max(axis=1),
        "L1": np.abs(rows).sum(axis=1),
        "L2": np.sqrt((rows * rows).sum(axis=1)),
    }[norm]
    twin = np.diag(np.repeat(1 / sizes, rows.shape[1]))
    # Both sides divide once, in another order.
    np.testing.assert_allclose(frozen.W, twin, rtol=8 * np.finfo(np.float64).eps)
    np.testing.assert_array_equal(frozen.b, 0)


def test_a_row_of_zeros_is_not_normalised() -> None:
    x = np.zeros((1, 3), dtype=np.float32)
    for m in both_modes(ml("Normalizer", x, norm="L1"), {"x": x}):
        np.testing.assert_array_equal(m.W, np.eye(3))


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_linear_regressor(targets: int, transform: str) -> None:
    x, w = numbers(2, 2, 4), numbers(3, targets, 4)
    shift = numbers(4, targets)
    options = {"coefficients": w.ravel(), "targets": targets, "post_transform": transform}
    for further in ({}, {"intercepts": shift}):
        proto = ml("LinearRegressor", x, **options, **further)
        assert_derivative(proto, {"x": x})
        m, _ = both_modes(proto, {"x": x})
        if transform == "NONE":
            np.testing.assert_array_equal(m.W, np.kron(np.eye(2), w))


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("strings", [False, True])
def test_linear_classifier(classes: int, transform: str, *, strings: bool) -> None:
    x, w = numbers(5, 2, 4), numbers(6, classes, 4)
    labels = list(range(max(classes, 2)))
    names = {"classlabels_strings": [str(i) for i in labels]}
    options: dict[str, Any] = names if strings else {"classlabels_ints": labels}
    options |= {"coefficients": w.ravel(), "intercepts": numbers(7, classes)}
    options |= {"post_transform": transform, "outputs": ("label", "y")}
    proto = ml("LinearClassifier", x, **options)
    assert_derivative(proto, {"x": x})
    m, frozen = both_modes(proto, {"x": x})
    assert list(m.outputs) == ["y"]
    if transform in ("SOFTMAX", "LOGISTIC") and classes > 1:
        np.testing.assert_array_equal(frozen.W, 0)


def test_softmax_of_a_linear_classifier_is_the_softmax_of_its_scores() -> None:
    x, w, shift = numbers(8, 1, 3), numbers(9, 2, 3), numbers(10, 2)
    options = {"coefficients": w.ravel(), "intercepts": shift, "classlabels_ints": [0, 1]}
    proto = ml("LinearClassifier", x, **options, post_transform="SOFTMAX", outputs=("l", "y"))
    m, _ = both_modes(proto, {"x": x})
    p = special.softmax(x.astype(np.float64) @ w.T.astype(np.float64) + shift)[0]
    twin = (np.diag(p) - np.outer(p, p)) @ w
    np.testing.assert_allclose(m.W, twin, atol=1e-14)


def test_probit_of_several_scores() -> None:
    x = np.array([[0.25, 0.5]], dtype=np.float32)
    options = {"coefficients": [1.0, 0, 0, 1], "intercepts": [0.125, 0.25], "targets": 2}
    assert_derivative(ml("LinearRegressor", x, **options, post_transform="PROBIT"), {"x": x})


def test_probit_of_one_of_two_classes_is_refused() -> None:
    x = np.array([[0.25, 0.25]], dtype=np.float32)
    options = {"coefficients": [1.0, 1], "intercepts": [0.0], "classlabels_ints": [0, 1]}
    proto = ml("LinearClassifier", x, **options, post_transform="PROBIT", outputs=("l", "y"))
    assert "PROBIT" in refusal(proto, {"x": x})


@pytest.mark.parametrize("filled", [[9.0], [1.0, 2.0, 3.0]])
def test_imputer_copies_what_is_there(filled: list[float]) -> None:
    x = np.array([[0.5, 7.0, 2.0], [7.0, 1.0, 3.0]], dtype=np.float32)
    proto = ml("Imputer", x, imputed_value_floats=filled, replaced_value_float=7.0)
    m, _ = both_modes(proto, {"x": x})
    missing = x == 7
    np.testing.assert_array_equal(m.W, np.diag((~missing).ravel()))
    want = np.where(missing, np.broadcast_to(filled, x.shape), 0)
    np.testing.assert_array_equal(m.b, want.ravel())


@pytest.mark.parametrize("dimensions", [[3, 2], [2, 4]])
def test_feature_vectorizer(dimensions: list[int]) -> None:
    x = {"x": numbers(11, 2, 3), "z": numbers(12, 2, 2)}
    proto = node_model("FeatureVectorizer", x, domain=ML, inputdimensions=dimensions)
    assert_derivative(proto, x)
    both_modes(proto, x)


@pytest.mark.parametrize("shape", SHAPES)
def test_array_feature_extractor(shape: tuple[int, ...]) -> None:
    x, at = numbers(13, *shape), np.array([[2, 0, 2]])
    m, _ = both_modes(ml("ArrayFeatureExtractor", x, {"at": at}), {"x": x})
    chosen = np.arange(x.size).reshape(-1, shape[-1])[:, at[0]].ravel()
    np.testing.assert_array_equal(m.W, np.eye(x.size)[chosen])


KERNELS = [
    ("LINEAR", [0.0, 0.0, 0.0]),
    ("POLY", [0.5, 0.25, 2.0]),
    ("POLY", [0.5, 0.25, 3.0]),
    ("RBF", [0.375, 0.0, 0.0]),
    ("SIGMOID", [0.5, 0.125, 0.0]),
]


@pytest.mark.parametrize(("kernel", "parameters"), KERNELS)
def test_svm_regressor(kernel: str, parameters: list[float]) -> None:
    x = numbers(14, 2, 3)
    options = {"kernel_type": kernel, "kernel_params": parameters, "rho": [0.25], "n_supports": 4}
    options |= {"support_vectors": numbers(15, 12), "coefficients": numbers(16, 4)}
    proto = ml("SVMRegressor", x, **options)
    assert_derivative(proto, {"x": x})
    both_modes(proto, {"x": x})
    for m in both_modes(ml("SVMRegressor", x, **options, one_class=1), {"x": x}):
        np.testing.assert_array_equal(m.W, 0)
        np.testing.assert_array_equal(np.abs(m.b), 1)


def test_rbf_machine_by_hand() -> None:
    x, vectors, weights = numbers(17, 1, 3), numbers(18, 4, 3), numbers(19, 4)
    options = {"kernel_type": "RBF", "kernel_params": [0.5, 0.0, 0.0], "rho": [0.0]}
    options |= {"support_vectors": vectors.ravel(), "coefficients": weights, "n_supports": 4}
    m, frozen = both_modes(ml("SVMRegressor", x, **options), {"x": x})
    apart = (x - vectors).astype(np.float64)
    kernel = np.exp(-0.5 * (apart**2).sum(axis=1))
    np.testing.assert_allclose(m.W[0], -(weights * kernel) @ apart, atol=1e-14)
    # exp(0) is not 0, so the frozen reading has nothing but the value.
    np.testing.assert_array_equal(frozen.W, 0)


@pytest.mark.parametrize("counts", [[3, 2], [2, 2, 1], [1, 1, 2, 1]])
@pytest.mark.parametrize(("kernel", "parameters"), [KERNELS[0], KERNELS[3]])
@pytest.mark.parametrize("likely", [False, True])
def test_svm_classifier(
    counts: list[int], kernel: str, parameters: list[float], *, likely: bool
) -> None:
    x, classes = numbers(20, 2, 3, scale=0.5), len(counts)
    pairs = classes * (classes - 1) // 2
    options: dict[str, Any] = {"kernel_type": kernel, "kernel_params": parameters}
    options |= {"support_vectors": numbers(21, 15), "vectors_per_class": counts}
    options |= {"coefficients": numbers(22, (classes - 1) * 5), "rho": numbers(23, pairs)}
    options |= {"classlabels_ints": list(range(classes)), "outputs": ("label", "y")}
    if likely:
        options |= {"prob_a": -np.abs(numbers(24, pairs)), "prob_b": numbers(25, pairs) / 8}
    # Of more classes every transform is the same again, and each takes seconds.
    if likely and classes > 3 and not LONG:
        pytest.skip("ten seconds: HYPOTHESIS_PROFILE=long")
    tried = {"LINEAR": 1, "RBF": len(TRANSFORMS) if classes == 2 else 2}[kernel]
    for transform in TRANSFORMS[:tried]:
        proto = ml("SVMClassifier", x, **options, post_transform=transform)
        assert_derivative(proto, {"x": x})
        both_modes(proto, {"x": x})


def test_machine_without_vectors_is_linear() -> None:
    x, w = numbers(26, 2, 3), numbers(27, 2, 3)
    options = {"coefficients": w.ravel(), "rho": [0.5], "kernel_params": [0.0, 0.0, 0.0]}
    options |= {"classlabels_ints": [0, 1], "outputs": ("label", "y")}
    m, _ = both_modes(ml("SVMClassifier", x, **options), {"x": x})
    np.testing.assert_array_equal(m.W, np.kron(np.eye(2), w))


def _tree(**further: Any) -> Any:
    nodes = {"treeids": [0, 0, 0], "nodeids": [0, 1, 2], "featureids": [1, 0, 0]}
    nodes |= {"truenodeids": [1, 0, 0], "falsenodeids": [2, 0, 0]}
    given = {f"nodes_{name}": value for name, value in nodes.items()}
    modes = ["BRANCH_LEQ", "LEAF", "LEAF"]
    return {**given, "nodes_modes": modes, "nodes_values": [0.5, 0.0, 0.0], **further}


def test_trees_are_locally_constant() -> None:
    x = numbers(28, 2, 2)
    leaves = {"treeids": [0, 0], "nodeids": [1, 2], "ids": [0, 0], "weights": [1.5, -2.0]}
    options = _tree(**{f"target_{name}": value for name, value in leaves.items()}, n_targets=1)
    classes = {f"class_{name}": value for name, value in leaves.items()}
    for proto in (
        ml("TreeEnsembleRegressor", x, **options),
        ml(
            "TreeEnsembleClassifier",
            x,
            **_tree(**classes, classlabels_int64s=[0, 1]),
            outputs=("label", "y"),
        ),
        ml("Binarizer", x, threshold=0.25),
    ):
        for m in both_modes(proto, {"x": x}):
            np.testing.assert_array_equal(m.W, 0)
            np.testing.assert_array_equal(m.b, m.y)


def test_a_list_of_maps_stands_for_its_table() -> None:
    helper, x = onnx.helper, numbers(29, 1, 2)
    options = {"coefficients": [1.0, 2, 3, 4], "intercepts": [0.0, 1], "classlabels_ints": [0, 1]}
    scores = helper.make_node("LinearClassifier", ["x"], ["label", "p"], domain=ML, **options)
    maps = helper.make_node("ZipMap", ["p"], ["z"], domain=ML, classlabels_int64s=[0, 1])
    kind = helper.make_map_type_proto(
        onnx.TensorProto.INT64, helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [])
    )
    outputs = [
        helper.make_tensor_value_info("label", onnx.TensorProto.INT64, [None]),
        helper.make_value_info("z", helper.make_sequence_type_proto(kind)),
    ]
    given = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [None, 2])]
    graph = helper.make_graph([scores, maps], "maps", given, outputs)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(ML, 1)]
    m = onnxlin.linearize(helper.make_model(graph, opset_imports=opsets, ir_version=9), x)
    m.verify()
    assert list(m.outputs) == ["p"]
    np.testing.assert_array_equal(m.W, [[1, 2], [3, 4]])


def test_a_row_on_a_threshold_is_a_tie() -> None:
    leaves = {"treeids": [0, 0], "nodeids": [1, 2], "ids": [0, 0], "weights": [1.5, -2.0]}
    options = _tree(**{f"target_{name}": value for name, value in leaves.items()}, n_targets=1)
    for height, nearest in ((0.5, 0.0), (0.75, 0.25)):
        x = np.array([[3.0, height]], dtype=np.float32)
        m, _ = both_modes(ml("TreeEnsembleRegressor", x, **options), {"x": x})
        assert m.near_kinks(nearest) == {"lone": 1}
        assert m.near_kinks(nearest - 0.125) == {"lone": 0}
