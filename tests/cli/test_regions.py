"""What regions prints is what the library says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxlin.readings import group
from tests.cli.helpers import write_model


@pytest.fixture
def circles(fixtures: Path) -> tuple[str, str]:
    """The net, and its test set beside the labels."""
    points = np.load(fixtures / "circles" / "points.npz")
    np.savez("data.npz", x=points["test_x"], labels=points["test_y"])
    return str(fixtures / "circles" / "mlp.onnx"), "data.npz"


def test_regions_json_agrees_with_the_library(run_json, circles) -> None:
    found = run_json("regions", *circles, "--merge", "8", "--top", "3", "--refit")
    data = np.load(circles[1])
    groups = group(circles[0], data["x"], data["labels"])
    assert (found["samples"], found["features"]) == (400, 2)
    assert (found["regions"], found["maps"]) == (len(groups), groups.distinct)
    assert found["sizes"] == groups.sizes
    assert found["groups"] == groups.table(3)
    assert found["scores"] == {"accuracy": groups.scores.accuracy, "auc": groups.scores.auc}
    merged = groups.merge(8, refit=True)
    assert found["merged"]["table"] == merged.table(3)
    assert found["merged"]["error"] == np.sqrt(np.mean(merged.error**2))


def test_regions_prints_what_a_person_asks_for(run, circles) -> None:
    code, out, err = run("regions", *circles, "--merge", "4")
    assert (code, err) == (0, "")
    for words in ("400 samples", "each map is the model on its samples", "AUC 0.9320",
                  "Largest regions", "AUC everywhere", "W[1]", "merged to 4 groups"):  # fmt: skip
        assert words in out


def test_regions_draws_the_samples(run_json, circles) -> None:
    pytest.importorskip("matplotlib")
    for more in ([], ["--merge", "5"]):
        found = run_json("regions", *circles, "--picture", "p.png", "--limit", "100", *more)
        assert found["files"] == ["p.png"]
        assert Path("p.png").stat().st_size > 10_000
        Path("p.png").unlink()


def test_labels_from_a_file_rows_and_many_features(run, run_json, x4) -> None:
    weights = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    from onnx import helper

    path = write_model(
        "relu.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
        w=weights,
    )
    np.save("xs.npy", np.random.default_rng(1).standard_normal((5, 4)))
    np.save("labels.npy", np.arange(5) % 2)
    found = run_json("regions", path, "xs.npy", "--labels", "labels.npy", "--rows", "0:2")
    assert len(found["groups"][0]["response"]) == 2
    assert found["scores"]["auc"] is not None
    assert found["merged"] is None
    bare = run_json("regions", path, "xs.npy", "--engine", "explicit", "--dtype", "float64")
    assert bare["scores"] is None
    assert len(bare["groups"][0]["b"]) == 6
    code, _, err = run("regions", path, "xs.npy", "--picture", "p.png")
    assert code == 1
    assert "only samples of two features can be drawn" in err
    code, out, _ = run("regions", path, "xs.npy")
    assert code == 0
    assert "W[0]" not in out


def test_a_table_may_hold_the_labels_and_a_limit_counts(run_json, circles) -> None:
    points = np.load(circles[1])
    lines = [f"{x[0]},{x[1]},{y}" for x, y in zip(points["x"], points["labels"], strict=True)]
    Path("data.csv").write_text("\n".join(["a,b,labels", *lines]))
    found = run_json("regions", circles[0], "data.csv", "--limit", "40", "--workers", "1")
    groups = group(circles[0], points["x"][:40], points["labels"][:40])
    assert found["groups"] == groups.table(10)
    assert found["scores"]["accuracy"] == groups.scores.accuracy


def test_several_inputs_come_by_name(run_json, fixtures: Path) -> None:
    path = fixtures / "odd" / "two_in_two_out.onnx"
    x = dict(np.load(path.with_suffix(".npz")))
    np.savez("two.npz", **{name: np.stack([value, -value]) for name, value in x.items()})
    found = run_json("regions", path, "two.npz")
    assert (found["samples"], sum(found["sizes"])) == (2, 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere.npz", "No such data: 'nowhere.npz'"),
        ("text.npz", "'text.npz' is not a readable .npz file"),
        ("table.csv", "row 2: 'one' is no number"),
    ],
)
def test_unreadable_data(run, circles, data: str, message: str) -> None:
    Path("text.npz").write_text("no archive")
    Path("table.csv").write_text("1,2\n3,one\n")
    code, _, err = run("regions", circles[0], data)
    assert code == 1
    assert message in err
