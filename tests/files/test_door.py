"""Files are written in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import onnxlin

ROOT = Path(str(onnxlin.__file__)).parent
# The door itself, and what writes arrays through it.
DOOR = {"files.py", "archives/writing.py", "archives/members.py"}
ALWAYS = {
    "write_text", "write_bytes", "mkstemp", "NamedTemporaryFile", "TemporaryFile", "savetxt",
    "savez", "savez_compressed", "save_model", "tofile", "to_csv", "imsave", "copyfile", "copy2",
    "makedirs", "mkdir", "unlink", "symlink_to", "hardlink_to", "rmtree", "memmap",
}  # fmt: skip
OF_OS = {"replace", "rename", "link", "symlink", "remove", "open", "write", "truncate"}
KNOWN = {
    # pytest's own cache folder, and a folder of the system's: no file is written there.
    ("testing/run/collected.py", "mkdir"),
    # What is printed to a reader that has gone goes nowhere, and closed descriptors lead there.
    ("cli/streams.py", "os.open"),
    ("runtime/sandbox/child.py", "os.open"),
    # A last word past all buffers, on stderr.
    ("cli/stop.py", "os.write"),
    # Opened to be read, links refused.
    ("load/external.py", "os.open"),
}


def writes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Calls that make, fill or move a file: line and name."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        owner = called.value if isinstance(called, ast.Attribute) else None
        of = owner.id if isinstance(owner, ast.Name) else ""
        on_path = of not in ("", "io", "zipfile")
        if name in ALWAYS or (name == "savefig" and not _is_stream(node)):
            yield node.lineno, name
        elif of == "os" and name in OF_OS:
            yield node.lineno, f"os.{name}"
        elif of in ("np", "numpy", "onnx") and name == "save":
            yield node.lineno, f"{of}.save"
        elif name in ("open", "ZipFile") and not _reads(node, first=on_path):
            yield node.lineno, name


def _reads(call: ast.Call, *, first: bool) -> bool:
    """Whether a file is opened to be read; the mode is the first argument of ``path.open``."""
    modes = [word.value for word in call.keywords if word.arg == "mode"]
    modes += call.args[0:1] if first else call.args[1:2]
    texts = [mode.value for mode in modes if isinstance(mode, ast.Constant)]
    if first and not any(isinstance(t, str) and set(t) <= set("rwxabt+") for t in texts):
        return True  # an opened archive, picture or session: no mode among its arguments
    return len(texts) == len(modes) and not any(set(str(t)) & set("wxa+") for t in texts)


def _is_stream(call: ast.Call) -> bool:
    return isinstance(call.args[0], ast.Name) and call.args[0].id == "stream"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("open(p, 'w')", True), ("open(p)", False), ("open(p, 'rb')", False),
        ("open(p, mode='a')", True), ("open(p, mode)", True), ("path.open('wb')", True),
        ("path.open(newline='')", False), ("np.save(p, a)", True), ("np.savez(p)", True),
        ("onnx.save(m, p)", True), ("onnx.save_model(m, p)", True), ("os.replace(a, b)", True),
        ("m.save(p)", False), ("fig.savefig(path)", True), ("fig.savefig(stream)", False),
        ("zipfile.ZipFile(p, 'w')", True), ("zipfile.ZipFile(p)", False),
        ("path.write_text('')", True), ("io.open(p, 'r+')", True),
    ],
)  # fmt: skip
def test_the_law_finds_what_it_forbids(text: str, found: bool) -> None:
    assert bool(list(writes(ast.parse(text)))) == found


def test_nothing_reads_pickles() -> None:
    """NumPy's own reader would, if asked; it also believes what a header claims."""
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
        for path in sorted(ROOT.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("np.load", "numpy.load", "pickle.load", "pickle.loads")
    ]
    assert not found, f"Read arrays by onnxlin.archives: {found}"


def test_no_other_module_writes_a_file() -> None:
    found = [
        f"{place}:{line}: {name}"
        for path in sorted(ROOT.rglob("*.py"))
        if (place := path.relative_to(ROOT).as_posix()) not in DOOR
        for line, name in writes(ast.parse(path.read_text("utf-8")))
        if (place, name) not in KNOWN
    ]
    assert not found, f"Write through onnxlin.files, which leaves no half of a file: {found}"
