"""Maps and linearizers in workers: threads, and processes made by fork, spawn and forkserver."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from onnxlin import Linearizer
from onnxlin.errors import RowsError
from tests.processes.alike import assert_alike
from tests.processes.results import X1, fresh, lin
from tests.processes.tasks import asked, refused
from tests.small import X, mlp

METHODS = multiprocessing.get_all_start_methods()
# From Python 3.12 on: a fork of a process with threads, which onnxruntime has, is warned of.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
PATIENCE = 120


@pytest.mark.parametrize("method", METHODS)
def test_workers_answer_as_we_do(method: str) -> None:
    sent = [lin(), Linearizer(mlp()), fresh()]
    here = [asked(one) for one in sent]  # with sessions open, and their threads started
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        for one, back in zip(here, pool.map(asked, sent, timeout=PATIENCE), strict=True):
            assert_alike(one, back, method)
        with pytest.raises(RowsError, match="99"):
            pool.submit(refused, lin()).result(PATIENCE)


def test_joblib_workers_answer_as_we_do() -> None:
    joblib = pytest.importorskip("joblib")
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(lin())(x, engine="reverse") for x in (X, X1))
    assert_alike([lin()(x, engine="reverse") for x in (X, X1)], list(found))


def test_threads_answer_as_one_does() -> None:
    xs = [X * (1 + k / 8) for k in range(8)]
    at = Linearizer(mlp())
    here = [at(x, engine="reverse") for x in xs]
    arrived = pickle.loads(pickle.dumps(at))  # opened by whoever comes first
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda x: arrived(x, engine="reverse"), xs))
    for one, other in zip(here, found, strict=True):
        np.testing.assert_array_equal(one.W, other.W)
        np.testing.assert_array_equal(one.b, other.b)


# Children by os.fork that leave as programs do: on the way they let go of what their parent opened.
CHILDREN = """
import os, signal, sys
import numpy as np
from onnxlin import Linearizer
x = np.random.default_rng(0).random((1, 1, 28, 28), np.float32)
for engine in ("reverse", "compiled"):
    at = Linearizer(sys.argv[1])
    m = at(x, engine=engine).verify()
    for then in ("use", "close", "leave"):
        child = os.fork()
        if not child:
            signal.alarm(60)
            if then == "use":
                other = at(x, engine=engine)
                assert np.array_equal(other.W, m.W) and np.array_equal(other.own_y, m.own_y)
                assert other.verify().layers[0].name == m.layers[0].name
            elif then == "close":
                at.close()
            if then != "leave":
                del at, m
            sys.exit(7)
        print(engine, then, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    assert np.array_equal(at(x, engine=engine).W, m.W)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_neither_waits_nor_closes() -> None:
    lenet = Path(__file__).parents[2] / "fixtures" / "lenet5_mnist.onnx"
    # With several threads in each session: one alone starts none.
    env = {n: v for n, v in os.environ.items() if n != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILDREN, lenet],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=env,
        check=False,
    )
    thens = [(e, t) for e in ("reverse", "compiled") for t in ("use", "close", "leave")]
    assert done.stdout == "".join(f"{engine} {then} 7\n" for engine, then in thens)
    assert (done.returncode, done.stderr) == (0, "")
