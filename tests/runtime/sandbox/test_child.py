"""Whatever happens in a child is an error here, which says what and where; nothing is left."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest

from onnxlin import OptionError, Sandbox, SandboxError, errors, limits
from onnxlin.runtime.sandbox import Child, confine, ended, frames
from onnxlin.runtime.sandbox import parent as parents

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
FAULTS = "tests.runtime.sandbox.faults"


def call(name, sandbox=None, **arguments):
    with Child(sandbox or Sandbox(time=60)) as child:
        return child.call(f"{FAULTS}:{name}", arguments)


def caught(name, sandbox=None):
    with pytest.raises(SandboxError) as found:
        call(name, sandbox)
    return found.value


def gone(pid):
    """Whether a process ends, some day soon."""
    for _ in range(600):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_calls_go_in_and_answers_come_out():
    with Child(Sandbox()) as child:
        for blob in (b"", b"abc", bytes(range(256)) * 10_000):
            arguments = {"a": [1, None, "é\x00"], "b": {"c": 0.5}}
            assert child.call(f"{FAULTS}:echo", arguments, [blob, b"x"]) == (
                arguments,
                [blob[::-1], b"x"],
            )
        assert child.alive
        pid = child.pid
    assert not child.alive
    assert gone(pid)


def test_what_it_prints_disturbs_nobody(capfd):
    assert call("prints")[0] == "answered"
    assert capfd.readouterr() == ("", "")


def test_limits_that_the_caller_raised_hold_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with limits.raised(nodes=77):
        found, _ = call("limited")
    assert found["nodes"] == 77
    assert found["core"] == [0, 0]
    assert found["path"] == [entry for entry in sys.path if isinstance(entry, str)]


@pytest.mark.parametrize(
    ("name", "ended", "words"),
    [
        ("segfault", "SIGSEGV", "was ended by SIGSEGV, in onnxlin's own work"),
        ("abort", "SIGABRT", "was ended by SIGABRT"),
        ("leave", "exit 3", "ended with exit code 3"),
        ("running", "SIGABRT", "was ended by SIGABRT, while onnxruntime ran the model"),
    ],
)
def test_a_crash_is_an_error(name, ended, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = caught(name)
    assert words in str(error)
    assert "do not run it outside of a sandbox" in str(error)
    assert (error.signal, error.limit) == (ended, None)
    assert error.stage == ("running" if name == "running" else "working")
    assert not list(tmp_path.iterdir())  # no core
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))


@pytest.mark.parametrize("name", ["sleep", "sleep_in_c", "spin"])
def test_a_hang_is_an_error(name):
    error = caught(name, Sandbox(time=1))
    assert "no answer within 1 s (time)" in str(error)
    assert "--time" in str(error)
    assert (error.signal, error.limit) == (None, "time")


def test_processor_time_is_held_without_the_parents_clock(monkeypatch):
    """As where the parent is stopped, or slower than all that it has started."""
    with Child(Sandbox(time=0.1)) as child:
        object.__setattr__(child.sandbox, "time", 0.1)
        clock = time.monotonic
        monkeypatch.setattr(parents.time, "monotonic", lambda: clock() / 1e6)
        with pytest.raises(SandboxError) as found:
            child.call(f"{FAULTS}:spin", {})
    assert found.value.limit == "time"


@pytest.mark.skipif(sys.platform != "linux", reason="held on Linux alone")
@pytest.mark.parametrize("name", ["allocate", "allocate_in_c"])
def test_endless_memory_is_an_error(name):
    error = caught(name, Sandbox(memory="128MiB"))
    assert "ran out of its memory of 128MiB" in str(error)
    assert "--memory" in str(error)
    assert error.limit == "memory"


def test_memory_that_is_allowed_is_had():
    with pytest.raises(SandboxError, match="ran out"):
        call("take", Sandbox(memory="64MiB"), megabytes=100)
    assert call("take", Sandbox(memory="256MiB"), megabytes=100)[0] == 100


def test_what_onnxlin_raises_is_raised_here():
    with Child(Sandbox()) as child:
        with pytest.raises(errors.InputError, match="x does not fit"):
            child.call(f"{FAULTS}:refuse", {})
        assert child.call(f"{FAULTS}:echo", {"still": "there"})[0] == {"still": "there"}


def test_what_it_should_not_raise_is_told_without_control_characters():
    error = caught("foreign")
    assert "does not foresee: KeyError: " in str(error)
    assert "SECURITY.md" in str(error)
    assert "\x1b" not in str(error)


def test_a_child_dies_with_its_parent():
    """Whatever ends the parent, and whatever the child is doing."""
    script = (
        "import threading\nfrom onnxlin.runtime.sandbox import Child, Sandbox\n"
        f"c = Child(Sandbox(time=3600))\nprint(c.pid, flush=True)\nc.call('{FAULTS}:NAME', {{}})"
    )
    for name in ("spin", "sleep_in_c"):
        with subprocess.Popen(
            [sys.executable, "-c", script.replace("NAME", name)], stdout=subprocess.PIPE, text=True
        ) as parent:
            pid = int(parent.stdout.readline())
            parent.send_signal(signal.SIGKILL)
        assert gone(pid)


def test_ctrl_c_ends_the_child():
    with Child(Sandbox()) as child:
        main = threading.main_thread().ident
        threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            child.call(f"{FAULTS}:sleep", {})
        assert not child.alive
        assert gone(child.pid)


def test_an_interpreter_that_does_not_start(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SandboxError, match=r"sys\.executable is '/nowhere/python'"):
        Child(Sandbox())
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(SandboxError, match="ended with exit code 0, while its interpreter started"):
        Child(Sandbox())


def test_a_call_of_what_has_died():
    with Child(Sandbox()) as child:
        with pytest.raises(SandboxError, match="SIGABRT"):
            child.call(f"{FAULTS}:abort", {})
        with pytest.raises(SandboxError):
            child.call(f"{FAULTS}:echo", {})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"memory": "lots"}, "memory='lots'; expected bytes"),
        ({"memory": 0}, "memory=0"),
        ({"time": 0}, "time=0; expected a positive number"),
        ({"time": float("nan")}, "time=nan"),
        ({"time": "1"}, "time='1'; expected seconds"),
    ],
)
def test_a_sandbox_of_nonsense(given, words):
    with pytest.raises(OptionError, match=words):
        Sandbox(**given)


def test_what_an_argument_may_be():
    own = Sandbox(memory=2**20, time=5)
    assert Sandbox.of(own) is own
    assert Sandbox.of(True) == Sandbox()
    assert Sandbox.of(None) is Sandbox.of(False) is None
    assert (own.bytes, Sandbox().bytes) == (2**20, 4 * 2**30)
    with pytest.raises(OptionError, match="sandbox='yes'; expected True"):
        Sandbox.of("yes")


DUMP = """Fatal Python error: Segmentation fault

Thread 0x1 (most recent call first):
  File "/lib/onnxlin/cli/bar.py", line 3 in wait

Current thread 0x2 (most recent call first):
  File "/lib/onnx/shape_inference.py", line 46 in infer_shapes
  File "/lib/onnxlin/graph/tensors.py", line 17 in infer_types
  File "/lib/onnxlin/runtime/sandbox/child.py", line 7 in main
"""


def test_the_stage_and_the_place_are_read_off_the_last_words():
    box = Sandbox()
    error = ended.crashed(-11, f"noise\n{DUMP}", "working", box)
    assert (error.stage, error.signal) == ("typing", "SIGSEGV")
    assert error.place == "onnxlin/graph/tensors.py:17, in infer_types"
    assert "Its last words: noise" in str(error)
    # A thread of native code's has no lines of its own: the others say where it began.
    error = ended.crashed(-6, DUMP.split('  File "/lib/onnx/', maxsplit=1)[0], "running", box)
    assert (error.stage, error.place) == ("running", "onnxlin/cli/bar.py:3, in wait")
    assert ended.crashed(-9, "", "running", box).limit == "memory"  # the system's own killer
    assert ended.crashed(-6, "std::bad_alloc", "running", box).limit == "memory"
    assert ended.crashed(-24, DUMP, "running", box).limit == "time"
    assert ended.crashed(-77, "\x1b[31m", "running", box).signal == "signal 77"
    assert "\x1b" not in str(ended.crashed(3, "\x1b[31mred", "running", box))


@pytest.mark.parametrize(
    "sent",
    [
        b"", b"\0" * 8, b"\xff" * 8,
        b"\0" * 7 + b"\x02{}", b"\0" * 7 + b"\x02[]", b"\0" * 7 + b"\x09{}",
        b"\0" * 7 + b"\x0e" + b'{"blobs":[-1]}', b"\0" * 7 + b"\x0d" + b'{"blobs":[5]}',
        (10**5).to_bytes(8, "big") + b"[" * 10**5,
    ],
)  # fmt: skip
def test_what_is_no_frame_is_the_end(sent):
    assert frames.receive(io.BytesIO(sent)) is None


def test_an_answer_that_is_no_frame_is_a_death():
    error = caught("babble")
    assert "answered with what is no answer" in str(error)


def test_without_prctl_a_thread_watches_the_parent(monkeypatch):
    parents, ended = iter([7, 7, 1]), []
    monkeypatch.setattr(confine, "_prctl", lambda *_: False)
    monkeypatch.setattr(confine.os, "getppid", lambda: next(parents, 1))
    monkeypatch.setattr(confine.time, "sleep", lambda _: None)
    monkeypatch.setattr(confine.os, "_exit", ended.append)
    before = threading.active_count()
    confine.die_with_parent()
    for _ in range(1000):
        if ended and threading.active_count() <= before:
            break
        threading.Event().wait(0.01)
    assert ended == [1]
