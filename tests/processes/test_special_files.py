"""Pipes, devices, sockets and folders are refused at once, wherever a file is read."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import AffineMap, Linearizer, OnnxlinError, cli
from onnxlin.graph.regular import require_regular
from onnxlin.inputs import read_input, read_instances
from onnxlin.inputs.datasets import read_labels
from onnxlin.inputs.vocabulary import read_vocabulary
from tests.small import X, mlp

Captured = pytest.CaptureFixture[str]

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="files as POSIX has them")
INPUTS = Linearizer(mlp()).graph.inputs
KINDS = {"pipe": "a named pipe", "device": "a device", "socket": "a socket", "folder": "a folder"}

READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "linearize": ("m.onnx", lambda p: onnxlin.linearize(p, X)),
    "Linearizer": ("m.onnx", Linearizer),
    "check_model": ("m.onnx", onnxlin.check_model),
    "compile_model": ("m.onnx", onnxlin.compile_model),
    "AffineMap.load": ("m.npz", AffineMap.load),
    "labels": ("l.txt", lambda p: read_labels(p, ["a"])),
    "vocabulary": ("v.txt", lambda p: read_vocabulary(p, {})),
    **{
        f"input {end}": (f"x{end}", lambda p: read_input(p, INPUTS))
        for end in (".npy", ".npz", ".csv", ".png")
    },
    **{
        f"data {end}": (f"x{end}", lambda p: read_instances([p], INPUTS))
        for end in (".npy", ".npz", ".csv", ".png")
    },
}
COMMANDS = {
    "check {}": "m.onnx",
    "verify {}": "m.onnx",
    "verify net.onnx --input {}": "x.npy",
    "explain {} x.npy": "m.onnx",
    "explain net.onnx {} --no-files": "x.npy",
    "explain net.onnx x.npy --no-files --baseline {}": "x.npy",
    "explain net.onnx x.npy --no-files --rows {}": "r.npy",
    "region net.onnx {}": "x.csv",
    "path net.onnx x.npy {} --no-files": "x.npy",
    "compare net.onnx {} x.npy": "m.onnx",
    "audit net.onnx x.npy {} --no-files": "m.npy",
    "evaluate net.onnx {} --no-files": "x.npz",
    "regions net.onnx {}": "x.npy",
    "regions net.onnx xs.npy --labels {}": "l.npy",
    "compile {} -o made.onnx": "m.onnx",
}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(mlp(), "net.onnx")
    np.save("x.npy", X)
    np.save("xs.npy", np.concatenate([X, -X])[:, None])


@pytest.fixture(params=KINDS)
def special(request) -> Iterator[tuple[str, Callable[[str], str]]]:
    """What a file may be instead, and what makes it under a name."""
    held = []

    def make(name: str) -> str:
        if request.param == "pipe":
            os.mkfifo(f"special-{name}")
        elif request.param == "folder":
            os.mkdir(f"special-{name}")
        elif request.param == "device":
            os.symlink("/dev/zero", f"special-{name}")
        else:
            held.append(socket.socket(socket.AF_UNIX))
            held[-1].bind(f"special-{name}")
        return f"special-{name}"

    yield KINDS[request.param], make
    for one in held:
        one.close()


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_not_opened(reader: str, special) -> None:
    (words, make), (name, read) = special, READERS[reader]
    path = make(name)
    if reader.startswith("data") and words == "a folder":
        pytest.skip("a folder of pictures is a data set")
    with pytest.raises(OnnxlinError, match=f"{path}' is {words}, not a file"):
        read(path)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_refuse_it(command: str, capsys) -> None:
    os.mkfifo(f"special-{COMMANDS[command]}")
    path = f"special-{COMMANDS[command]}"
    code = cli.main([path if word == "{}" else word for word in command.split()])
    out, err = capsys.readouterr()
    assert (code, out) == (1, "")
    assert err.startswith("onnxlin: error: ")
    assert f"{path}' is a named pipe, not a file" in err


def test_files_and_links_to_files_are_read() -> None:
    os.symlink("net.onnx", "link.onnx")
    assert Linearizer(Path("link.onnx")).section.outputs == ("y",)
    for name in ("net.onnx", "none", "\0"):  # whoever opens the others says why that fails
        require_regular(name, "file", OnnxlinError)
    assert stat.S_ISREG(os.stat("link.onnx").st_mode)


@pytest.mark.parametrize(
    "command", ["compile net.onnx -o {}", "explain net.onnx x.npy --html {}"]
)  # fmt: skip
def test_nothing_waits_for_a_reader_of_a_pipe(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(mlp(), "net.onnx")
    np.save("x.npy", X)
    os.mkfifo("pipe")
    assert cli.main(command.format("pipe").split()) == 1
    assert "No such device or address" in capsys.readouterr().err
