"""Under "auto" many rows are cut where the middle is narrow, by whatever sweeps the lower half."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxlin import Linearizer
from onnxlin.engines import plan
from onnxlin.engines.plan import halves_of
from onnxlin.errors import TensorNameError
from onnxlin.linearizer.ready import Ready
from tests.engines.cuts import nets
from tests.engines.cuts.test_halves import assert_same

CODE = [40, 30, 5, 30, 40]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take the small nets here for those that are worth looking at."""
    monkeypatch.setattr(plan, "NOTICED", 0)
    return monkeypatch


def test_it_is_chosen_and_said(small) -> None:
    proto = nets.stack(CODE)
    lin, x = Linearizer(proto), nets.at(proto)
    m = lin(x)
    assert m.engine == "cut"
    assert "where 5 entries are live" in m.plan
    assert "of the multiplications of 40 rows" in m.plan
    assert_same(m.verify(), lin(x, engine="reverse"), 2e-5)
    assert lin(x, rows=range(3)).engine == "reverse"
    assert lin(x, dtype=np.float64).verify().engine == "cut"


@pytest.mark.parametrize("net", [lambda: nets.stack([40, 30, 39, 30, 40]), nets.around])
def test_it_is_not_chosen_where_it_saves_nothing(small, net) -> None:
    proto = net()
    assert Linearizer(proto)(nets.at(proto)).engine in ("reverse", "forward")


def test_few_multiplications_are_not_looked_at() -> None:
    proto = nets.stack(CODE)
    assert Linearizer(proto)(nets.at(proto)).engine == "reverse"


@pytest.mark.parametrize("net", [lambda: nets.stack(CODE), nets.token, nets.pair, nets.beside])
@pytest.mark.parametrize("mode", ["tangent", "frozen"])
def test_a_graph_sweeps_the_lower_half_once_that_pays(small, net, mode: str) -> None:
    small.setattr(plan, "opening", lambda _: 0.0)
    small.setattr(plan, "SOME", 1)
    proto = net()
    lin, x = Linearizer(proto, mode=mode), nets.at(proto)
    told: list[tuple[int, int]] = []
    m = lin(x, progress=lambda *at: told.append(at))
    assert m.engine == "cut"
    assert lin._ready._endings
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    assert_same(m, lin(x, engine="reverse"), 2e-5)
    assert m.verify().verdict == "PASS"
    assert m.own_outputs is not m.outputs


def test_a_graph_of_all_that_is_open_does_not_hide_a_cut(small) -> None:
    proto = nets.stack(CODE)
    lin, x = Linearizer(proto), nets.at(proto)
    assert lin(x, engine="compiled").engine == "compiled"
    assert lin(x, rows=[0, 1]).engine == "compiled"
    lin(x, engine="reverse")
    assert lin(x).engine == "cut"


def test_where_there_is_none_is_looked_for_once(small) -> None:
    """And the graph that is open answers, at once and from then on."""
    proto = nets.stack([40, 30, 39, 30, 40])
    lin, x = Linearizer(proto), nets.at(proto)
    lin(x, engine="compiled")
    looked: list[int] = []
    original = plan.narrowest
    small.setattr(plan, "narrowest", lambda *at: looked.append(1) or original(*at))
    assert [lin(x, rows=range(30)).engine for _ in range(3)] == ["compiled"] * 3
    assert len(looked) == 1
    assert lin(x, rows=range(31)).engine == "compiled"
    assert len(looked) == 2


def test_a_file_is_filled_by_a_graph_too(small, tmp_path: Path) -> None:
    small.setattr(plan, "opening", lambda _: 0.0)
    proto = nets.stack(CODE)
    lin, x = Linearizer(proto), nets.at(proto)
    m = lin(x, save=tmp_path / "m")
    assert isinstance(m.W, np.memmap)
    assert m.engine == "cut"
    assert_same(m, lin(x, engine="reverse"), 2e-5)
    assert m.verify().verdict == "PASS"


def test_what_a_graph_takes_is_held_against_the_budget(small) -> None:
    small.setattr(plan, "opening", lambda _: 0.0)
    proto = nets.stack([400, 300, 40, 300, 500])
    x = nets.at(proto)
    m = Linearizer(proto)(x)
    held = m.made_from("the test").job.held
    assert m.engine == "cut"
    assert m.memory_needed > halves_of(m.made_from("the test").job).needs(500) / 2
    tight = Linearizer(proto, memory=held + 500 * 400 * 4 + 20_000)(x)
    assert tight.engine == "compiled"  # which needs no two halves
    assert_same(tight, m, 2e-5)


def test_what_is_inside_of_a_node_has_no_graph_of_its_own(small) -> None:
    """Whose tensor the cut is, no section can end with: it is swept by itself."""
    small.setattr(plan, "opening", lambda _: 0.0)
    proto = nets.seeded(
        "g (float[1,30] x) => (float[1,40] y) { h = MatMul(x, A)  t = Tanh(h)  y = MatMul(t, B) }",
        {"A": (30, 3), "B": (3, 40)},
    )
    lin, x = Linearizer(proto), nets.at(proto)
    small.setattr(Ready, "ending", _no_such)
    m = lin(x)
    assert m.engine == "cut"
    assert_same(m.verify(), lin(x, engine="reverse"), 2e-5)


def _no_such(*_: object) -> Ready:
    raise TensorNameError("no such tensor in the graph")


def test_few_endings_and_questions_are_kept() -> None:
    ready = Linearizer(nets.stack([3, 4, 4, 4, 4, 4, 3]))._ready
    kept = [ready.ending((f"h{i}",)) for i in range(1, 5)]
    assert ready.ending(("h1",)) is kept[0]
    assert ready.ending(("h5",)).section.outputs == ("h5",)
    assert ready.ending(("h1",)) is not kept[0]
    for rows in range(65):
        ready.found.whole((rows,))
    assert ready.found.is_whole((64,))
    assert not ready.found.is_whole((0,))
