"""Ctrl-C and SIGTERM at any moment: one line on stderr, the documented exit code, no traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest

from tests.small import X, mlp

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="signals as POSIX has them")
PATIENCE = 240

# Forks a child for every moment asked, so that modules are imported once: the signal comes at the
# n-th call of a function of onnxlin's. Without an n the calls are counted.
DRIVER = """
import ctypes, json, os, signal, sys, time
import onnxlin.cli.commands as commands
from onnxlin.cli import main

argv, moments, number, planted = json.loads(sys.argv[1])

def blocked(*_):  # in C, where no exception of Python's arrives
    os.kill(os.getpid(), number)
    mutex, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)
    libc.pthread_mutex_lock(mutex), libc.pthread_mutex_lock(mutex)

def swallowed(*_):
    try:
        os.kill(os.getpid(), number)
        time.sleep(0.1)
    except BaseException:
        pass
    return 0

class Dying:
    def __del__(self):
        os.kill(os.getpid(), number)
        time.sleep(0.1)

def unraisable(*_):
    Dying()
    time.sleep(60)

def twice(*_):
    try:
        os.kill(os.getpid(), number)
        time.sleep(0.1)
    finally:
        os.kill(os.getpid(), number)
        time.sleep(60)

for moment, plant in zip(moments, planted or [None] * len(moments)):
    if plant:
        commands.COMMANDS["ops"].run = globals()[plant]
    pipes = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        for stream, (_, write) in zip((1, 2), pipes):
            os.dup2(write, stream)
        count = 0

        def trace(frame, event, arg):
            global count
            if "onnxlin" + os.sep in frame.f_code.co_filename:
                count += 1
                if count == moment:
                    os.kill(os.getpid(), number)

        sys.argv = ["onnxlin", *argv]
        sys.settrace(trace)
        code = main()
        sys.settrace(None)
        if moment is None:
            os.write(2, str(count).encode())
        sys.exit(code)
    for _, write in pipes:
        os.close(write)
    texts = [open(read, "rb").read().decode() for read, _ in pipes]
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([code, *texts]), flush=True)
"""


def driven(
    argv: list[Any],
    moments: list[int | None],
    number: int = signal.SIGINT,
    planted: list[str] | None = None,
) -> list[tuple[int, str, str]]:
    asked = json.dumps([[str(a) for a in argv], moments, int(number), planted])
    command = [sys.executable, "-W", "ignore", "-c", DRIVER, asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(autouse=True)
def nobody_ignores_signals() -> Iterator[None]:
    """Whoever runs the tests in the background may ignore SIGINT, and children would as well."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def net(tmp_path) -> str:
    onnx.save(mlp(), tmp_path / "net.onnx")
    return str(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        (signal.SIGINT, 130, "onnxlin: interrupted\n"),
        (signal.SIGTERM, 143, "onnxlin: terminated\n"),
    ],
)
def test_a_command_stops_wherever_it_is(net: str, number: int, code: int, text: str) -> None:
    np.save(f"{net}.npy", X)
    argv = ["explain", net, f"{net}.npy", "--no-files"]
    ((ended, out, counted),) = driven(argv, [None])
    assert (ended, bool(out)) == (0, True)
    calls = int(counted)
    assert calls > 100
    # Before it is taken over, SIGTERM ends a process without a word, as it does any other.
    first = [*range(2, 14, 2)] if number == signal.SIGINT else []
    parts = 6 if first else 3
    moments = [*first, *range(20, calls - 40, calls // parts), calls + 1000]
    found = driven(argv, moments, number)
    assert [(one, err) for one, _, err in found[:-1]] == [(code, text)] * (len(moments) - 1)
    assert (found[-1][0], found[-1][2]) == (0, "")  # the signal never came


def test_a_signal_is_never_lost() -> None:
    planted = ["swallowed", "unraisable", "twice", "blocked"]
    for code, _, err in driven(["ops"], [0] * 4, signal.SIGINT, planted):
        assert code == 130
        assert err.replace("onnxlin: interrupted\n", "", 1) == ""


def test_a_signal_after_the_end_changes_nothing() -> None:
    script = (
        "import atexit, os, signal, sys\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "sys.argv = ['onnxlin', '--version']\n"
        "from onnxlin.cli import main\n"
        "sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_signal_that_is_ignored_stays_so() -> None:
    script = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "import onnxlin.cli.commands as commands\n"
        "commands.COMMANDS['ops'].run = lambda *_: os.kill(os.getpid(), signal.SIGINT) or 0\n"
        "sys.argv = ['onnxlin', 'ops']\n"
        "from onnxlin.cli import main\n"
        "sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


# The signal comes, or an exception is raised, when the n-th module is looked for.
IMPORTS = """
import os, signal, sys
n, how = int(sys.argv[1]), sys.argv[2]

class Finder:
    count = 0
    def find_spec(self, name, path=None, target=None):
        Finder.count += 1
        if Finder.count == n:
            if how == "raise":
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGINT)

sys.argv = ["onnxlin", "check", sys.argv[3]]
from onnxlin.cli import main
sys.meta_path.insert(0, Finder())
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("n", "how"), [(1, "raise"), (3, "kill"), (60, "kill"), (250, "raise"), (450, "kill")]
)
def test_imports_are_stopped(net: str, n: int, how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORTS, str(n), how, net],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "onnxlin: interrupted\n")
