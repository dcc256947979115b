"""One number of threads for the run of the model, for BLAS, and for compiled graphs."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import onnxlin
from onnxlin import Linearizer, OptionError
from onnxlin.engines.confined import blas, confined, each_confined, threads_of_blas
from onnxlin.engines.cores import all_cores, cores
from onnxlin.engines.plan import ENGINES
from tests.small import mlp

XS = np.random.default_rng(0).random((12, 1, 28, 28), np.float32)
LENET = Path(__file__).parents[2] / "fixtures" / "lenet5_mnist.onnx"


def asked() -> set[int]:
    return {ask() for ask, _ in threads_of_blas()}


@pytest.fixture
def opened(monkeypatch) -> list[int]:
    """Threads of every session that is opened."""
    found: list[int] = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, model, options, **more) -> None:
            super().__init__(model, options, **more)
            found.append(self.get_session_options().intra_op_num_threads)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    return found


@pytest.mark.parametrize("engine", ["reverse", "compiled", "live", "explicit"])
def test_all_that_a_map_is_made_by_has_so_many(opened, engine) -> None:
    for threads in (1, 2):
        opened.clear()
        lin = Linearizer(LENET, threads=threads)
        m = lin(XS[0][None], engine=engine)
        assert m.verify().engine == engine
        m.first_departure()
        list(lin.map(XS, engine=engine))
        # What fills no two threads has one.
        assert set(opened) in ({threads}, {1, threads})
        assert opened[0] == threads, "the run of the model"


def test_by_default_it_is_as_it_was(opened) -> None:
    lin = Linearizer(LENET)
    lin(XS[0][None]).verify()
    assert lin.threads is None
    assert opened[0] == 0


@pytest.mark.parametrize("engine", ["reverse", "compiled", "live", "cut", "explicit", "forward"])
def test_results_agree_to_rounding(engine) -> None:
    one, two = (Linearizer(LENET, threads=n)(XS[0][None], engine=engine) for n in (1, 2))
    for m in (one, two):
        m.verify()
    np.testing.assert_allclose(one.W, two.W, rtol=0, atol=1e-5 * np.abs(one.W).max())
    assert np.all(np.abs(one.b - two.b) <= 1e-5 * one.scale)


def test_options_of_sessions_keep_their_own_number(opened) -> None:
    own = onnxruntime.SessionOptions()
    own.intra_op_num_threads = 2
    Linearizer(LENET, session_options=own, threads=1)(XS[0][None], engine="compiled")
    assert opened == [1, 2]
    opened.clear()
    plain = onnxruntime.SessionOptions()
    Linearizer(LENET, session_options=plain, threads=1)(XS[0][None], engine="compiled")
    assert opened == [1, 1]
    assert plain.intra_op_num_threads == 0, "the caller's are left as they were"


def test_it_is_a_number_and_travels() -> None:
    for wrong in (0, -1, 1.5, "two", True):
        with pytest.raises(OptionError, match="threads="):
            Linearizer(mlp(), threads=wrong)
    assert pickle.loads(pickle.dumps(Linearizer(mlp(), threads=2))).threads == 2


def test_of_linearize(opened) -> None:
    onnxlin.linearize(LENET, XS[0][None], threads=1)
    assert set(opened) == {1}


def test_the_digest_is_of_what_is_linearised(opened) -> None:
    plain = Linearizer(LENET)
    other = Linearizer(
        LENET, threads=1, memory="1GiB", session_options=onnxruntime.SessionOptions()
    )
    assert plain.digest == other.digest
    assert plain.digest != Linearizer(LENET, mode="frozen").digest
    assert (other.means["threads"], other.means["memory"]) == (1, "1GiB")
    assert plain.__dask_tokenize__() != other.__dask_tokenize__(), "they differ in last bits"


def test_blas_has_the_smallest_number_that_is_wished_and_its_own_again() -> None:
    before = [ask() for ask, _ in threads_of_blas()]
    if not before:
        pytest.skip("no OpenBLAS of NumPy's wheels")
    with confined(2):
        assert (asked(), cores()) == ({2}, 2)
        with confined(1):
            assert (asked(), cores()) == ({1}, 1)
        with confined(None):
            assert asked() == {2}
        assert asked() == {2}
    assert [ask() for ask, _ in threads_of_blas()] == before
    assert cores() == all_cores()


def test_threads_that_cross_leave_blas_as_it_was() -> None:
    """One leaves its block after the other, which began first."""
    before = [ask() for ask, _ in threads_of_blas()]
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with blas(1):
            inside.set()
            assert leave.wait(60)

    with blas(2):
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(60)
    if before:
        assert asked() == {1}
    leave.set()
    thread.join()
    assert [ask() for ask, _ in threads_of_blas()] == before


def test_between_two_parts_nothing_is_confined() -> None:
    found = []
    for part in each_confined(1, (cores() for _ in range(3))):
        found.append((part, cores()))
    assert found == [(1, all_cores())] * 3
    assert list(each_confined(None, (cores() for _ in range(2)))) == [all_cores()] * 2


def test_a_map_that_is_computed_late_has_them_still(monkeypatch) -> None:
    seen, right = [], ENGINES["reverse"]

    def spied(job):
        seen.append((asked(), cores()))
        return right(job)

    monkeypatch.setitem(ENGINES, "reverse", spied)
    m = Linearizer(mlp(), threads=1)(np.ones((1, 3), np.float32), engine="reverse")
    assert not seen
    assert m.W.shape == (2, 3)
    assert seen in ([({1}, 1)], [(set(), 1)])
