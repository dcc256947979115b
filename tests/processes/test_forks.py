"""Forks while other threads work: the child has none of them, and waits for none of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
LENET = Path(__file__).parents[2] / "fixtures" / "lenet5_mnist.onnx"
PATIENCE = 120

START = """
import os, signal, sys, threading, time
import numpy as np
from onnxlin import Linearizer
x = np.random.default_rng(0).random((1, 1, 28, 28), np.float32)
lin = Linearizer(sys.argv[1])

def child(work):
    pid = os.fork()
    if not pid:
        signal.alarm(30)
        work()
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
# Whoever forks does so in the middle of another thread's map, a little later each time.
BUSY = """
expected, over = lin(x, engine="reverse").W, False
def busy():
    while not over:
        lin(x, engine=sys.argv[2]).W
def asked():
    for engine in ("live", "reverse"):
        np.testing.assert_allclose(lin(x, engine=engine).W, expected, atol=1e-4)
threads = [threading.Thread(target=busy) for _ in range(2)]
for thread in threads:
    thread.start()
found = []
for i in range(12):
    time.sleep(0.003 + 0.001 * i)
    found.append(child(asked))
    if found[-1] != 7:
        break
over = True
for thread in threads:
    thread.join()
print(found)
"""
# A map over many instances, begun here and gone on with there; and then here.
CARRIED = """
from onnxlin.engines.compiled.many import runs
runs.cores = lambda: 2
xs = np.repeat(x, 200, axis=0)
going = lin.map(xs, rows=[3, 7], engine="compiled")
first = next(going)
def rest():
    others = list(going)
    assert len(others) == 199
    for m in others:
        np.testing.assert_array_equal(m.W, first.W)
print([child(rest)], len(list(going)))
"""
ALONE = """
from onnxlin.engines.confined import threads_of_blas
from onnxlin.engines.live import gemm
asks = [ask for ask, _ in threads_of_blas()]
before = [ask() for ask in asks]
def again():
    with gemm.alone():
        assert {ask() for ask in asks} <= {1}
    assert [ask() for ask in asks] == before
with gemm.alone():
    print([child(again)])
assert [ask() for ask in asks] == before
"""


def ran(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", START + script, LENET, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize("engine", ["live", "cut", "reverse", "compiled"])
def test_a_child_waits_for_no_thread_of_its_parent(engine: str) -> None:
    assert ran(BUSY, engine) == str([7] * 12)


def test_a_child_goes_on_with_what_its_parent_began() -> None:
    assert ran(CARRIED) == "[7] 199"


def test_a_child_of_one_who_is_alone_has_all_threads_of_blas_again() -> None:
    assert ran(ALONE) == "[7]"
