"""Every limit is held where a file asks for more, names itself, and can be raised."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import LimitError, cli, limits
from onnxlin.load import load
from tests.limits import nets
from tests.limits.nets import X
from tests.pages import ROOT


def given(n: int) -> dict[str, object]:
    return {"x": X, "n": np.int64(n)}


def long_name() -> onnx.ModelProto:
    model = nets.chain(1)
    model.graph.node[0].name = "n" * 40
    return model


HELD: dict[str, tuple[str, int, Callable[[], object], str]] = {
    "nodes": ("nodes", 5, lambda: load(nets.chain(6)), "comes to 6 nodes"),
    "nodes of subgraphs": ("nodes", 5, lambda: load(nets.nested(3)), "comes to 8 nodes"),
    "nodes of functions": (
        "nodes", 31, lambda: load(nets.calls(6, twice=True)), "32 nodes with its functions opened",
    ),
    "nodes of a loop": (
        "nodes", 40, lambda: onnxlin.linearize(nets.loop(30), X), "comes to .* nodes",
    ),
    "nesting": ("nesting", 2, lambda: load(nets.nested(3)), "nests 3 levels deep"),
    "nesting of calls": ("nesting", 9, lambda: load(nets.calls(10, twice=False)), "nests 10 lev"),
    "name_bytes": ("name_bytes", 30, lambda: load(long_name()), "'nnnnn.*is 40 bytes long"),
    "trips": (
        "trips", 2, lambda: onnxlin.linearize(nets.loop(3), X), "'l' asks for 3 rounds",
    ),
    "trips that are given": (
        "trips", 2, lambda: onnxlin.linearize(nets.loop(None), given(3)), "'l' asks for 3 rounds",
    ),
    "trips that x decides": (
        "trips", 3, lambda: onnxlin.linearize(nets.loop(9, ends_itself=True), X), "went 4 rounds",
    ),
    "entries": (
        "entries", 7, lambda: onnxlin.linearize(nets.expanding(8), X), "a tensor of 8 entries",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HELD)
def test_a_limit_is_held_and_can_be_raised(case: str) -> None:
    name, most, call, said = HELD[case]
    with limits.raised(**{name: most}), pytest.raises(LimitError, match=said) as caught:
        call()
    asked = re.search(rf"limits\.raised\({name}=(\d+)\)", str(caught.value))
    assert asked, caught.value
    with limits.raised(**{name: int(asked[1])}):
        call()


ASKING = {
    "a billion nodes": lambda: nets.calls(30, twice=True),
    "calls that go deep": lambda: nets.calls(3_000, twice=False),
}


@pytest.mark.parametrize("name", ASKING)
def test_what_asks_for_too_much_is_refused_before_it_is_opened(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("functions were opened")

    monkeypatch.setattr(onnx.inliner, "inline_local_functions", opened)
    for call in (onnxlin.check_model, onnxlin.compile_model, onnxlin.Linearizer):
        with pytest.raises(LimitError):
            call(ASKING[name]())


def test_functions_that_call_themselves_are_no_model() -> None:
    with pytest.raises(onnxlin.ModelError, match="calls itself"):
        load(nets.calls(3, twice=False, endless=True))


@pytest.mark.parametrize("call", ["constant", "given"])
def test_endless_rounds_are_refused_before_the_run(call: str) -> None:
    model, x = (nets.loop(2**60), X) if call == "constant" else (nets.loop(None), given(2**60))
    with pytest.raises(LimitError, match="1,152,921,504,606,846,976 rounds"):
        onnxlin.linearize(model, x)


@pytest.mark.parametrize("by", ["constants", "shape", "values", "nothing"])
@pytest.mark.parametrize("engine", ["auto", "compiled"])
def test_rounds_that_the_model_computes_are_refused_before_the_run(by: str, engine: str) -> None:
    # An engine that cannot serve a model says so, with what stands in the way.
    kind = LimitError if engine == "auto" else (LimitError, onnxlin.OptionError)
    with pytest.raises(kind, match=r"rounds|for ever"):
        onnxlin.linearize(nets.loop_by(by), X, engine=engine)


def test_rounds_that_the_model_computes_are_as_many_as_it_says() -> None:
    model = nets.loop_by("values")
    model.graph.initializer.remove(next(t for t in model.graph.initializer if t.name == "n"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1), "n"))
    m = onnxlin.linearize(model, 3 * X)
    assert m.W.tolist() == [[4, 4]]  # |3 - 6| rounds
    m.verify()


@pytest.mark.parametrize("counts", [0, 2])
def test_a_loop_has_one_trip_count(counts: int) -> None:
    """onnxruntime reads beyond an empty one, and dies."""
    model = nets.loop(3)
    model.graph.initializer.remove(next(t for t in model.graph.initializer if t.name == "n"))
    stored = onnx.numpy_helper.from_array(np.full(counts, 3), "n")
    model.graph.initializer.append(stored)
    assert onnxlin.check_model(model).refused
    with pytest.raises(onnxlin.ModelError, match=f"has {counts} trip counts"):
        onnxlin.linearize(model, X)


@pytest.mark.parametrize("condition", [["c2"], ["c3", "c2"]])
def test_copies_in_a_circle_in_a_body_end(condition: list[str]) -> None:
    model = nets.loop(3)
    body = model.graph.node[0].attribute[0].g
    body.node[0].input[0] = condition[0]
    if len(condition) > 1:
        body.node.append(onnx.helper.make_node("Identity", ["c2"], ["c3"]))
    with pytest.raises(onnxlin.ModelError, match="acyclic"):
        onnxlin.linearize(model, X)


def test_a_loop_of_another_domain_need_not_have_a_body() -> None:
    node = onnx.helper.make_node("Loop", ["n", "n", "x"], ["y"], domain="q")
    model = nets.whole([node], {"n": np.array(2)})
    assert not onnxlin.check_model(model).ok
    with pytest.raises(onnxlin.MissingRuleError):
        onnxlin.linearize(model, X)


def test_a_loop_with_a_condition_of_its_own_runs_whatever_its_trip_count() -> None:
    """As exporters write ``while``: the trip count is the largest number that there is."""
    m = onnxlin.linearize(nets.loop(2**63 - 1, ends_itself=True), X)
    assert m.W.tolist() == [[5, 5]]
    m.verify()


def test_counts_too_long_to_print_are_refused_all_the_same() -> None:
    shape = np.full(400, 2**40)
    nodes = [onnx.helper.make_node("Expand", ["x", "s"], ["y"])]
    with pytest.raises(LimitError, match=f"{limits.ENDLESS:,} entries"):
        onnxlin.linearize(nets.whole(nodes, {"s": shape}), X)


def test_pictures_are_measured_before_they_are_unpacked(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    from onnxlin.inputs.pictures import open_picture

    file = tmp_path / "p.png"
    image.new("L", (30, 20)).save(file)
    before = image.MAX_IMAGE_PIXELS
    with limits.raised(pixels=599), pytest.raises(LimitError, match="30 x 20 pixels"):
        open_picture(file)
    with limits.raised(pixels=600):
        assert open_picture(file)[0].size == (30, 20)
    assert before == image.MAX_IMAGE_PIXELS


def test_limits_may_be_set_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "chain.onnx")
    onnx.save(nets.chain(6), file)
    assert cli.main(["check", file, "--limit", "nodes=5", "--limit", "trips=7"]) == 1
    assert "comes to 6 nodes; the limit is 5 (nodes)" in capsys.readouterr().err
    assert cli.main(["check", file, "--limit", "nodes=6"]) == 0
    assert limits.current() == limits.Limits()
    for wrong in ("knots=5", "nodes=-1", "nodes=many", "nodes"):
        assert cli.main(["check", file, "--limit", wrong]) == 2
        assert "--limit" in capsys.readouterr().err


def test_every_command_takes_limits() -> None:
    for name, command in commands().items():
        found = [action for action in command._actions if "--limit" in action.option_strings]
        assert len(found) == 1, name
        assert "nodes" in str(found[0].help), name


def commands() -> dict[str, object]:
    top = cli.parser()._subparsers
    return dict(top._group_actions[0].choices)  # type: ignore[union-attr]


def test_every_limit_stands_in_the_docs_with_its_default() -> None:
    page = (ROOT / "docs" / "limits.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", page, flags=re.MULTILINE))
    own = {field.name: f"{field.default:,}" for field in fields(limits.Limits)}
    assert rows == own
