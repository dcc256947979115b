"""``check`` runs nothing whose cost it does not know, says so, and answers in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

import onnxlin
from onnxlin import cli, limits
from onnxlin.engines.compiled.export import compilable
from onnxlin.runtime import session as door
from tests.limits import nets

UNBOUNDED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "a loop that may end": (lambda: nets.loop(2**60, ends_itself=True), "until a condition"),
    "a tensor that grows": (lambda: nets.loop(60, grows=True), "grows to .* entries"),
    "a loop by the shape of x": (
        lambda: nets.loop_by("shape"), "asks for 2,305,843,009,213,693,952 rounds",
    ),
}  # fmt: skip

REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "a loop": (lambda: nets.loop(2**60), "asks for 1,152,921,504,606,846,976 rounds"),
    "a loop by constants": (lambda: nets.loop_by("constants"), "rounds"),
    "a loop without a count": (lambda: nets.loop_by("nothing"), "goes round for ever"),
    "a tensor": (lambda: nets.expanding(2**44), "a tensor of 17,592,186,044,416 entries"),
    "a tensor of computed size": (
        lambda: nets.expanding_by_values(2**44), "'large' makes a tensor of",
    ),
}  # fmt: skip
"""What passes a limit at every x: not run either, and no model to go on with."""


@pytest.mark.parametrize("name", REFUSED)
def test_what_passes_a_limit_at_every_x_is_refused(name: str) -> None:
    make, said = REFUSED[name]
    report = onnxlin.check_model(make())
    assert not report.ok
    with pytest.raises(onnxlin.LimitError, match=said) as refused:
        onnxlin.linearize(make(), nets.X)
    assert report.refused == str(refused.value)
    assert refused.value.limit in ("trips", "entries")


@pytest.mark.parametrize("name", UNBOUNDED)
def test_what_has_no_bound_is_not_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, said = UNBOUNDED[name]
    ran: list[set[str]] = []
    true = door.run

    def run(session: door.InferenceSession, wanted: list[str], feeds: dict[str, object]) -> object:
        ran.append(set(wanted))
        return true(session, wanted, feeds)

    monkeypatch.setattr(door, "run", run)
    report = onnxlin.check_model(make())
    assert report.compiles is None
    assert len(report.not_run) == 1
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(report.not_run[0])
    # What decides how much is made may be run; what asks for it is not.
    assert not any(names & {"l", "e", "y"} for names in ran)


@pytest.mark.parametrize(
    "model", [nets.loop(3), nets.loop(3, grows=True), nets.expanding(64),
              nets.expanding_by_values(64), nets.nested(3)],
    ids=["loop", "grows", "expands", "by values", "nested"],
)  # fmt: skip
def test_what_is_bounded_is_tried_as_before(model: onnx.ModelProto) -> None:
    report = onnxlin.check_model(model)
    assert report.compiles, report
    assert report.not_run == ()


def test_limits_that_are_raised_let_it_run() -> None:
    with limits.raised(entries=64):
        assert onnxlin.check_model(nets.expanding(66)).refused
    with limits.raised(entries=66):
        assert onnxlin.check_model(nets.expanding(66)).compiles


def test_long_models_are_not_compiled_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilable, "MOST_NODES", 10)
    report = onnxlin.check_model(nets.chain(11))
    assert report.ok
    assert report.not_run == ("the whole, to compile it: the model has 11 nodes",)
    assert onnxlin.check_model(nets.chain(11), compiles=True).compiles


def test_it_answers_when_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop of two billion short rounds, which the limit now allows."""
    with limits.raised(trips=2**31):
        report = onnxlin.check_model(nets.loop(2**31), time=0.5)
    assert [node.op_type for node in report.nodes] == ["Loop", "ReduceSum"]
    assert report.compiles is None
    assert "time that was given is over" in report.not_run[0]


@pytest.mark.parametrize("time", [0, -1.0, "soon"])
def test_a_time_is_above_0(time: object) -> None:
    with pytest.raises(onnxlin.OptionError, match="expected seconds above 0"):
        onnxlin.check_model(nets.chain(2), time=time)  # type: ignore[arg-type]


def test_the_command_says_what_it_did_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "loop.onnx")
    onnx.save(nets.loop(2**60), file)
    assert cli.main(["check", file]) == 3
    assert "the model is refused" in capsys.readouterr().out
    onnx.save(nets.loop(2**60, ends_itself=True), file)
    assert cli.main(["check", file, "--time", "60"]) == 0
    told = capsys.readouterr().out
    assert "not run: " in told
    assert "as far as can be determined without a run" in told
    assert cli.main(["check", file, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["compiles"] is None
    assert len(found["not_run"]) == 1
    assert cli.main(["check", file, "--time", "0"]) == 2
