"""A file is written whole, or what was there stays: whatever goes wrong, at whatever step."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import FileError, OnnxlinError, archives, files
from onnxlin.engines.compiled.export.files import save
from tests.files.killed import SIZE, value_of, weighty
from tests.files.steps import acting, full, interrupt

ROOT = Path(__file__).parents[2]
OLDER, NEWER = b"older", b"newer" * 20_000


def python(*arguments: str, **more) -> subprocess.CompletedProcess:
    call = [sys.executable, *arguments]
    how = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 300}
    return subprocess.run(call, check=False, **how, **more)


def raised(call) -> BaseException | None:
    try:
        call()
    except (FileError, KeyboardInterrupt) as error:
        return error
    return None


def test_killed_at_any_step_something_whole_is_left(tmp_path: Path) -> None:
    done = python("-m", "tests.files.killed", str(tmp_path))
    assert done.returncode == 0, done.stderr
    counts = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert len(counts) == 4
    assert min(counts) > 10


@pytest.mark.parametrize("fault", [full, interrupt])
def test_a_fault_at_any_step_leaves_the_older_file_and_nothing_else(tmp_path, fault) -> None:
    path = tmp_path / "page.html"
    at = happened = 0
    while True:
        at += 1
        path.write_bytes(OLDER)
        with acting(at, fault) as counted:
            caught = raised(lambda: files.write(path, NEWER))
        if caught is not None:
            happened += 1
            if fault is full:
                assert isinstance(caught, FileError)
                assert f"Cannot write {str(path)!r}: No space left" in str(caught)
                assert path.read_bytes() == OLDER
        assert path.read_bytes() in (OLDER, NEWER)
        assert os.listdir(tmp_path) == ["page.html"]
        if counted.count < at:
            break
    assert happened > 7


@pytest.mark.parametrize("fault", [full, interrupt])
def test_a_fault_at_any_step_leaves_a_pair_that_fits(tmp_path, fault) -> None:
    path, at = tmp_path / "net.onnx", 0
    save(weighty(1.0), path, True)
    while True:
        at += 1
        with acting(at, fault) as counted, contextlib.suppress(FileError, KeyboardInterrupt):
            save(weighty(2.0), path, True)
        assert value_of(path) in (1.0, 2.0)
        assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]
        if counted.count < at:
            break
        if value_of(path) == 2.0:
            save(weighty(1.0), path, True)
            assert sorted(os.listdir(tmp_path)) == ["net.onnx", "net.onnx.data"]
    assert at > 20


def test_a_pair_is_given_back_with_its_weights(tmp_path) -> None:
    for value in (1.0, 2.0):
        made = weighty(value)
        save(made, tmp_path / "net.onnx", True)
        (weight,) = made.graph.initializer
        assert onnx.numpy_helper.to_array(weight).tolist() == [[value] * SIZE] * SIZE
        assert (tmp_path / "net.onnx.data").stat().st_size == 4 * SIZE**2


# Everything that goes through the door


def writers(folder: Path) -> dict[str, object]:
    from tests.small import X, mlp

    m = onnxlin.linearize(mlp(), X)
    return {
        "map": m.save,
        "compiled": lambda path: onnxlin.compile_model(mlp(), path),
        "bytes": lambda path: files.write(path, NEWER),
        "arrays": lambda path: archives.write(path, {"file": np.zeros(9)}),
    }


WHAT = ("map", "compiled", "bytes", "arrays")


@pytest.mark.parametrize("what", WHAT)
def test_what_cannot_be_written_is_a_file_error(tmp_path, what) -> None:
    write = writers(tmp_path)[what]
    (tmp_path / "file.npz").write_bytes(b"")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "loop.npz").symlink_to("loop.npz")
    for name, words in {
        "none/a.npz": "No such file or directory", "folder.npz": "Is a directory",
        "file.npz/a.npz": "Not a directory", "n" * 260 + ".npz": "File name too long",
        "loop.npz": "symbolic links", "new/": "Is a directory", "nul\0.npz": "can have this name",
        "half\ud800.npz": "can have this name",
    }.items():  # fmt: skip
        if (what, name) == ("compiled", "new/"):
            continue  # as a Path, which has no slash at its end
        with pytest.raises(FileError, match=words) as caught:
            write(f"{tmp_path}/{name}")
        assert isinstance(caught.value, OnnxlinError)
        assert str(caught.value).startswith("Cannot write '")
    with pytest.raises(FileError, match="No space left on device"):
        write("/dev/full")
    assert sorted(os.listdir(tmp_path)) == ["file.npz", "folder.npz", "loop.npz"]


@pytest.mark.parametrize("what", WHAT)
def test_a_pipe_and_devices_are_written_to_directly(tmp_path, what) -> None:
    write = writers(tmp_path)[what]
    write("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    pipe, there = tmp_path / "pipe.npz", tmp_path / "there.npz"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write(pipe)
    reader.join()
    write(there)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert read[0]
    if what in ("map", "arrays"):
        there.write_bytes(read[0])
        with np.load(there, allow_pickle=False) as found:
            assert found.files
    else:
        assert read[0] == there.read_bytes()


def test_standard_output_is_not_cut_off(tmp_path) -> None:
    """Even where it goes to a file: that is not replaced, and what was printed stays."""
    text = (
        "from onnxlin import files; print('one'); files.write('/dev/stdout', b'two\\n'); "
        "files.write('/dev/fd/1', b'three\\n'); print('four')"
    )
    with open(tmp_path / "out", "w") as out:
        subprocess.run([sys.executable, "-c", text], cwd=ROOT, stdout=out, check=True, timeout=60)
    assert (tmp_path / "out").read_text() == "one\ntwo\nthree\nfour\n"


def test_a_link_is_followed(tmp_path) -> None:
    (tmp_path / "real").mkdir()
    link, target = tmp_path / "link", tmp_path / "real" / "target"
    link.symlink_to("real/target")
    for _ in range(2):  # it does not lead anywhere yet; then it does
        files.write(link, NEWER)
        assert link.is_symlink()
        assert target.read_bytes() == NEWER
    assert os.listdir(tmp_path / "real") == ["target"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_an_ordinary_open(tmp_path, mask) -> None:
    before = os.umask(mask)
    try:
        files.write(tmp_path / "new", b"")
        with open(tmp_path / "plain", "wb"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    files.write(tmp_path / "new", NEWER)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.fixture
def nobody():
    """A folder of a user who is not root, and that user's rights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o777)


def test_rights_are_asked_for(nobody: Path) -> None:
    kept = nobody / "kept"
    kept.write_bytes(OLDER)
    kept.chmod(0o444)
    with pytest.raises(FileError, match="Permission denied"):
        files.write(kept, NEWER)  # a rename would need no right to the file
    kept.chmod(0o644)
    folder = nobody / "folder"
    folder.mkdir()
    folder.chmod(0o555)
    with pytest.raises(FileError, match="Permission denied"):
        files.write(folder / "new", NEWER)
    with pytest.raises(FileError, match="Permission denied"):
        files.folder_of(folder / "deep" / "new")
    assert kept.read_bytes() == OLDER
    assert sorted(os.listdir(nobody)) == ["folder", "kept"]
    assert not os.listdir(folder)


LIMITED = """
import os, resource, sys
from onnxlin import FileError, files
path = sys.argv[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    files.write(path, b"x" * 20_000)
except FileError as error:
    alone = os.listdir(os.path.dirname(path)) == ["file"]
    sys.exit(0 if "File too large" in str(error) and alone else 2)
sys.exit(3)
"""
CLOSED = """
import os, sys
from onnxlin import files
for number in (0, 1, 2):
    os.close(number)
with files.writing(sys.argv[1]) as stream:
    fine = stream.fileno() > 2
    os.system("echo printed")  # into whatever is standard output now
    stream.write(b"newer")
os._exit(0 if fine else 2)
"""


@pytest.mark.parametrize(("text", "left"), [(LIMITED, OLDER), (CLOSED, b"newer")])
def test_a_limit_of_size_and_closed_standard_streams(tmp_path, text, left) -> None:
    (tmp_path / "file").write_bytes(OLDER)
    done = python("-c", text, str(tmp_path / "file"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "file").read_bytes() == left


def test_equal_arrays_make_equal_bytes(tmp_path) -> None:
    for name in "ab":
        archives.write(tmp_path / name, {"x": np.arange(3), "file": np.ones(2)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
