"""The document of a page holds the numbers of the library."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import onnxlin
from onnxlin import page
from onnxlin.errors import DetachedError
from onnxlin.inputs import Given
from onnxlin.page import assemble, hidden, reach
from onnxlin.page.assemble import shown
from onnxlin.page.nodes import nodes
from onnxlin.page.pack import pack, plain, unpack
from onnxlin.readings import hidden_maps, live_units
from onnxlin.readings.region import Region, obstacles
from onnxlin.testing import GrownModel, onnx_models
from tests.small import X, mlp, model

NUMBERS = st.sampled_from(["float32", "float64", "uint8", "int64"]).flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, min_side=0))
)


def of(m: onnxlin.AffineMap, lin: onnxlin.Linearizer, **more) -> dict:
    """The document of a map, as JSON hands it on."""
    subject = page.Explained(m, page.parts(m, Given(m.inputs), lin.graph), **more)
    return json.loads(json.dumps(page.document(subject), allow_nan=False))


@pytest.fixture(scope="module")
def lenet(fixtures):
    lin = onnxlin.Linearizer(fixtures / "lenet5_mnist.onnx")
    x = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)
    return lin, lin(x)


@given(NUMBERS)
def test_packed_arrays_come_back_to_the_last_bit(array) -> None:
    packed = json.loads(json.dumps(pack(array)))
    found = unpack(packed)
    assert found.shape == array.shape
    assert found.astype(array.dtype).tobytes() == array.tobytes()


def test_repeated_numbers_are_packed_as_such() -> None:
    few = np.random.default_rng(0).choice(np.float32([0.1, 0.7, -3.3]), 4000)
    assert len(pack(few)["data"]) < few.nbytes / 8


def test_plain_data_is_what_json_knows() -> None:
    found = plain({"a": (np.float32(1.5), float("nan")), 2: np.array([[np.inf, 1]]), "b": True})
    assert found == {"a": [1.5, None], "2": [[None, 1.0]], "b": True}


def test_rows_classes_and_ledger_are_those_of_the_map(lenet) -> None:
    lin, m = lenet
    found = of(m, lin, labels=list("abcdefghij"), model="net", source="x", asked=(3,))
    order = np.argsort(-m.y, kind="stable").tolist()
    assert found["places"] == order
    assert [row["F"] for row in found["rows"]] == m.y.tolist()
    assert [row["label"] for row in found["rows"]] == list("abcdefghij")
    for place, one in zip(order, found["classes"], strict=True):
        assert one["row"] == place
        np.testing.assert_array_equal(unpack(one["values"]), m.contributions[place])
        assert one["rest"] == 0
    ledger = found["ledger"]
    for place, shares in zip(order, ledger["shares"], strict=True):
        told = {node: float(share[place]) for node, share in m.bias_by_node.items()}
        assert dict(zip(ledger["nodes"], shares, strict=True)) == told
    assert found["residual"]["pass"]
    (part,) = found["parts"]
    assert (part["kind"], part["channels"], part["height"]) == ("picture", 1, 28)
    np.testing.assert_array_equal(unpack(part["x"]), m.x.astype(np.float32))


@given(onnx_models())
def test_any_map_has_a_document(grown: GrownModel) -> None:
    lin = onnxlin.Linearizer(grown.model)
    found = of(lin(grown.x), lin)
    total = sum(row["F"] for row in found["rows"])
    assert np.isfinite(total)
    assert {row["name"] for row in found["nodes"]["rows"]} == {
        layer.name for layer in lin(grown.x).layers
    }


def test_few_rows_are_all_shown_and_of_many_the_strongest(lenet) -> None:
    _, m = lenet
    assert len(shown(m)) == 10
    weights = ",".join(map(str, range(180)))
    wide = onnxlin.linearize(
        model(f"g (float[1,3] x) => (float[1,60] y) <float[3,60] w = {{{weights}}}> "
              "{ y = MatMul(x, w) }"),
        np.ones((1, 3), np.float32),
    )  # fmt: skip
    assert shown(wide) == [59, 58, 57, 56, 55]
    assert shown(wide, (2, 59)) == [59, 58, 57, 56, 55, 2]


def test_a_large_map_lists_only_its_strongest_rows(lenet, monkeypatch) -> None:
    lin, m = lenet
    monkeypatch.setattr(assemble, "MOST_LISTED", 2)
    monkeypatch.setattr(assemble, "LARGE", 100)
    monkeypatch.setattr(assemble, "STRONGEST", 1)
    found = of(m, lin, asked=(int(np.argmin(m.y)),))
    order = np.argsort(-m.y, kind="stable")
    assert {row["position"] for row in found["rows"]} == {*order[:2].tolist(), int(order[-1])}
    assert found["places"] == [int(order[0]), int(order[-1])]


def test_the_region_is_that_of_the_reading(lenet) -> None:
    lin, m = lenet
    found = of(m, lin)["region"]
    region = Region(m)
    assert (found["guards"], found["ties"], found["beyond"]) == (
        region.guards, region.ties, region.beyond,
    )  # fmt: skip
    for told in found["radii"]:
        radius = region.radius(told["norm"], ties=False)
        assert told["exact"]
        assert (told["upper"], told["unit"]) == (radius.upper, str(radius.unit))
    top = int(np.argmax(m.y))
    assert [step["towards"] for step in found["steps"]] == [None, *of(m, lin)["places"][1:]]
    for step in found["steps"]:
        way = -m.x if step["towards"] is None else m.W[step["towards"]].astype(float) - m.W[top]
        left = region.step(way / (1 if step["towards"] is None else np.linalg.norm(way)),
                           ties=False)  # fmt: skip
        assert step["units"][0] == str(left.units[0])
        size = np.linalg.norm(m.x) if step["towards"] is None else 1.0
        assert step["length"] == pytest.approx(left.step * size, rel=1e-12)
    levels = {d.row: d.distance for d in region.decisions("l2")}
    for step in found["steps"][1:]:
        assert step["level"] == pytest.approx(levels[step["towards"]], rel=1e-6)


def test_without_a_search_the_steps_bound_the_radius(lenet, monkeypatch) -> None:
    lin, m = lenet
    exact = {told["norm"]: told["upper"] for told in of(m, lin)["region"]["radii"]}
    monkeypatch.setattr(reach, "RADII", 0)
    found = of(m, lin)["region"]
    assert found["sweeps"] == 0
    for told in found["radii"]:
        assert (told["exact"], told["lower"], told["sweeps"]) == (False, 0.0, 0)
        assert exact[told["norm"]] <= told["upper"] < np.inf
        assert told["unit"] is not None
    few = of(m, lin, sweeps=16)["region"]
    assert few["sweeps"] == 16
    for told in few["radii"]:
        assert told["lower"] <= exact[told["norm"]] <= told["upper"]


def test_steps_are_few_where_they_are_dear(lenet, monkeypatch) -> None:
    lin, m = lenet
    monkeypatch.setattr(reach, "STEPS", 0)
    order = np.argsort(-m.y, kind="stable").tolist()
    assert [s["towards"] for s in of(m, lin)["region"]["steps"]] == [None, order[1]]
    monkeypatch.setattr(reach, "LARGEST", 0)
    assert of(m, lin)["region"]["why_not"] == reach.TOO_LARGE
    assert of(m, lin, sweeps=1)["region"]["why_not"] is None


def test_a_step_leaves_ties_out_when_asked(fixtures) -> None:
    """Beside the ties of a flat picture the first change is where the reading finds it."""
    m = onnxlin.linearize(fixtures / "lenet5_mnist.onnx", np.full((1, 1, 28, 28), 0.5))
    region = Region(m)
    assert region.ties
    way = np.random.default_rng(1).standard_normal(784)
    assert region.step(way).step == 0
    beside = region.step(way, ties=False).step
    assert beside > 0
    rooms = min(float(w.exits(_rates(region, way))[w.room > 0].min(initial=np.inf))
                for w in region.walls)  # fmt: skip
    assert beside == rooms


def _rates(region: Region, way):
    from onnxlin.readings.region.walls import rates

    return rates(region.program, region.walls, way)


def test_smooth_nodes_stand_where_the_region_would() -> None:
    proto = model("g (float[1,4] x) => (float[1,4] y) { y = Tanh(x) }")
    lin = onnxlin.Linearizer(proto)
    m = lin(np.ones((1, 4), np.float32))
    found = of(m, lin)
    assert found["region"] == {"why_not": "smooth", "obstacles": obstacles(m), "more": 0}
    assert found["nodes"]["edges"] == []
    assert found["nodes"]["rows"][0]["status"] == "tangent"


def test_nothing_moves_a_map_at_zero_with_one_row() -> None:
    lin = onnxlin.Linearizer(model("g (float[2] x) => (float y) <float two = {2}> "
                                   "{ r = Relu(x) y = ReduceSum<keepdims=0>(r) }"))  # fmt: skip
    found = of(lin(np.zeros(2, np.float32)), lin)["region"]
    assert (found["steps"], found["ties"]) == ([], 2)
    assert [told["unit"] for told in found["radii"]] == [None] * 3


def test_nodes_are_counted_as_the_readings_count(lenet) -> None:
    _, m = lenet
    found = nodes(m)
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == [layer.name for layer in m.layers]
    for unit in live_units(m):
        row = rows[unit.node]
        assert (row["units"], row["on"], row["live"]) == (unit.units, unit.on, unit.live)
    for step in m.made_from("a test").program.steps:
        told = rows[step.node.name]["margins"]
        if step.margin is None:
            assert told is None
            continue
        margins = step.margin()
        assert told["ties"] == np.count_nonzero(margins == 0)
        assert sum(told["counts"]) + told["ties"] + told["never"] == margins.size
        assert told["least"] == margins[margins > 0].min()
        for i, count in enumerate(told["counts"][1:-1], start=1):
            low, high = found["edges"][i : i + 2]
            assert count == np.count_nonzero((margins >= low) & (margins < high))


def test_a_histogram_spans_twelve_decades_at_most() -> None:
    lin = onnxlin.Linearizer(model("g (float[4] x) => (float[4] y) { y = Relu(x) }"))
    (row,) = nodes(lin(np.float32([1e-30, 0, 2e6, 3.0])))["rows"]
    # From 1e-5 to 1e7: what is nearer than that stands in the first bin.
    assert len(row["margins"]["counts"]) == 24
    assert np.flatnonzero(row["margins"]["counts"]).tolist() == [0, 10, 22]
    assert row["margins"]["ties"] == 1
    (row,) = nodes(lin(np.float32([1.0, 1.0, 1.0, 1.0])))["rows"]
    assert sum(row["margins"]["counts"]) == 4


def test_opened_nodes_are_one_row_of_the_table() -> None:
    lin = onnxlin.Linearizer(model("g (float[1,2,4] x) => (float[1,2,4] y) "
                                   "<float[4] s = {1,1,1,1}> "
                                   "{ y = LayerNormalization(x, s) }"))  # fmt: skip
    m = lin(np.float32([[[1, 2, 3, 5], [0, 1, 0, 2]]]))
    assert len(nodes(m)["rows"]) == len({layer.name for layer in m.layers})


def test_a_map_from_a_file_has_no_page(lenet, tmp_path) -> None:
    lin, m = lenet
    m.verify()
    m.save(tmp_path / "map.npz")
    loaded = onnxlin.AffineMap.load(tmp_path / "map.npz")
    with pytest.raises(DetachedError, match="needs the linear program"):
        of(loaded, lin)


def test_a_map_past_its_bound_explains_nothing(lenet, monkeypatch) -> None:
    lin, m = lenet
    right = onnxlin.AffineMap.b.func
    monkeypatch.setattr(onnxlin.AffineMap, "b", property(lambda m: right(m) + 1))
    found = of(m, lin)
    assert found["residual"]["pass"] is False
    assert (found["places"], found["classes"], found["ledger"]) == ([], [], None)
    assert (found["region"], found["nodes"]) == (None, None)
    assert len(found["rows"]) == 10


def test_so_does_one_that_has_no_bias(monkeypatch) -> None:
    """Where b = 0 must hold a wrong b is a residual that the page tells, not an error."""
    lin = onnxlin.Linearizer(model("g (float[1,2] x) => (float[1,2] y) { y = Relu(x) }"))
    m = lin(np.ones((1, 2), np.float32))
    assert of(m, lin)["structural_zero"].startswith("b = 0 must hold")
    monkeypatch.setattr(onnxlin.AffineMap, "Wx", property(lambda m: m.W @ m.x + 1))
    found = of(m, lin)
    assert (found["residual"]["pass"], found["structural_zero"], found["places"]) == (
        False, None, [],
    )  # fmt: skip


def test_hidden_tensors_lie_over_the_picture(lenet) -> None:
    lin, m = lenet
    found = of(m, lin)
    maps = {one["tensor"]: one for one in found["hidden"]["maps"]}
    # One of each size, and of the last convolution's what comes before the pool.
    assert [*maps] == ["/1/Relu_output_0", "/2/MaxPool_output_0", "/4/Relu_output_0"]
    assert found["hidden"]["open"] == -1
    for own in hidden_maps(m, found["places"], [*maps]):
        said = maps[own.tensor]
        np.testing.assert_array_equal(unpack(said["values"]), own.values.astype(np.float32))
        assert said["rest"] == own.rest.tolist()
        assert said["error_bound"] == own.error_bound.tolist()
    asked = of(m, lin, at=("last",))["hidden"]
    assert ([one["tensor"] for one in asked["maps"]], asked["open"]) == (["/4/Relu_output_0"], 0)


def test_hidden_tensors_of_a_large_net_are_read_when_asked(lenet, monkeypatch) -> None:
    lin, m = lenet
    monkeypatch.setattr(hidden, "MOST", 0)
    assert of(m, lin)["hidden"] is None
    assert of(m, lin, at=("last",))["hidden"] is not None


def test_a_table_has_no_hidden_tensors_with_places() -> None:
    m = onnxlin.linearize(mlp(), X)
    assert of(m, onnxlin.Linearizer(mlp()))["hidden"] is None
