"""Standard streams that are closed, full, or read no further: a code and a line, no traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest

from onnxlin import cli
from onnxlin.cli import streams
from tests.small import X, mlp

COMMANDS = ["check net.onnx", "ops", "ops --json", "--help", "explain net.onnx x.npy --no-files"]
COMMANDS += ["explain net.onnx x.npy --no-files --json", "compile net.onnx -o made.onnx"]


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_net(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(mlp(), "net.onnx")
    np.save("x.npy", X)


class Full(io.StringIO):
    """Takes nothing, as a full disk does: when it is flushed, or as soon as it is written to."""

    def __init__(self, *, at_once: bool, error: type[OSError] = OSError) -> None:
        super().__init__()
        self.error = error(28, "No space left on device")
        self.at_once = at_once

    def write(self, text: str) -> int:
        if self.at_once:
            raise self.error
        return super().write(text)

    def flush(self) -> None:
        if self.getvalue():
            raise self.error


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_stdout_is_told_of(command: str, at_once: bool, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "stdout", Full(at_once=at_once))
    code = cli.main(command.split())
    err = capsys.readouterr().err
    assert code == 1
    assert err.count("onnxlin: error: ") == 1
    assert "Cannot write to standard output: No space left on device." in err


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_gone_is_no_error(command, at_once, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "stdout", Full(at_once=at_once, error=BrokenPipeError))
    assert cli.main(command.split()) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_stdout_is_told_of(command: str, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(command.split()) == 1
    assert "Standard output is closed" in capsys.readouterr().err


@pytest.mark.parametrize("stderr", [None, Full(at_once=True)])
def test_without_stderr_the_code_says_it(stderr, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    assert cli.main(["check", "net.onnx"]) == 0
    assert cli.main(["check", "none.onnx"]) == 1
    assert cli.main(["none"]) == 2
    assert "None" not in capsys.readouterr().out


def test_an_encoding_that_lacks_a_letter(monkeypatch, tmp_path) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    proto = mlp()
    proto.graph.node[0].name = "größe"
    onnx.save(proto, "net.onnx")
    assert cli.main(["check", "net.onnx"]) == 0
    assert stream.errors == "strict"  # as it was
    assert b"PASS" in stream.buffer.getvalue()


def test_no_descriptor_is_left_free() -> None:
    script = (
        "import os\n"
        "from onnxlin.cli import streams\n"
        "os.close(0), os.close(1), streams.fill()\n"
        "assert os.open('net.onnx', os.O_RDONLY) > 2"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# Of real processes: what the interpreter itself says when it ends is seen here alone.
SHELL = """
exec 9>&1
run() { "$PYTHON" -W ignore -m onnxlin "$@"; }
run ops >&- ; echo "closed $?" >&9
run ops >/dev/full; echo "full $?" >&9
run ops 2>&- >/dev/null; echo "without stderr $?" >&9
set -o pipefail
run ops --markdown | head -1 >/dev/null; echo "pipe $?" >&9
MPLBACKEND=none HOME=/dev/null TERM= PYTHONIOENCODING=ascii LC_ALL=C \
    run explain net.onnx x.npy --out made >/dev/null; echo "odd $?" >&9
"""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device here")
def test_processes_end_without_a_traceback() -> None:
    pytest.importorskip("matplotlib")
    done = subprocess.run(
        ["bash", "-c", SHELL],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    codes = ["closed 1", "full 1", "without stderr 0", "pipe 0", "odd 0"]
    assert done.stdout.splitlines() == codes
    assert [line[:15] for line in done.stderr.splitlines()] == ["onnxlin: error:"] * 2


def test_a_backend_that_is_not_there(monkeypatch) -> None:
    pytest.importorskip("matplotlib")
    script = (
        "import onnxlin.plot.figure as f\n"
        "try: f.new_figure(1, 1)\n"
        "except f.OnnxlinError as error: print(error)"
    )
    monkeypatch.setenv("MPLBACKEND", "none")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "matplotlib cannot be used: Key backend: 'none'" in done.stdout


def test_what_a_stream_has_beside_is_handed_on() -> None:
    text = io.StringIO()
    assert streams.Out(text).getvalue() == streams.Err(text).getvalue() == ""
    closed = io.StringIO()
    closed.close()
    with pytest.raises(streams.FileError, match="closed file"):
        streams.Out(closed).write("text")
    assert streams.Err(closed).write("text") == 4
    streams.Err(closed).flush()
