"""The ways into a sandbox: the same answers as without, and reports where the process dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import Sandbox, SandboxError, cli
from onnxlin.cli import boxed as commands
from onnxlin.runtime.sandbox import boxed
from onnxlin.testing import LawError, assert_linearizes
from onnxlin.testing.child import packed, unpacked
from tests.small import model

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")

# A node without a rule, and one with: the report has an obstacle.
HALF = "g (float[1,2] x) => (float[1,2] y) { h = Relu(x) y = com.example.Odd(h) }"
BROKEN, ENDLESS, GREEDY = (
    f"tests.runtime.sandbox.{how}_onnxruntime" for how in ("broken", "endless", "greedy")
)


@pytest.fixture
def conv(fixtures):
    return str(fixtures / "odd" / "conv1d.onnx")


@pytest.fixture
def plant(monkeypatch):
    """Have children import a module that breaks onnx or onnxruntime."""

    def planted(module):
        for place in (sys.modules[boxed.__module__], commands):
            monkeypatch.setattr(place, "MODULES", (*place.MODULES, module))

    return planted


@pytest.mark.parametrize("form", ["path", "bytes", "proto"])
def test_the_report_is_the_same(form, conv):
    proto = onnx.load(conv)
    given = {"path": conv, "bytes": proto.SerializeToString(), "proto": proto}[form]
    assert onnxlin.check_model(given, sandbox=True) == onnxlin.check_model(given)


def test_ends_and_obstacles_are_the_same():
    proto = model("g (float[2] x, float[2] z) => (float[2] y) { h = Relu(x) y = Mul(h, z) }")
    ends = {"inputs": "x", "outputs": ["h", "y"], "rounding": "straight-through"}
    plain = onnxlin.check_model(proto, **ends, compiles=False)
    assert onnxlin.check_model(proto, **ends, compiles=False, sandbox=Sandbox(time=50)) == plain


def test_errors_are_the_same(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"no model")
    for given in (str(tmp_path / "no.onnx"), b"no model", 7):
        with pytest.raises(onnxlin.ModelError) as plain:
            onnxlin.check_model(given)
        with pytest.raises(onnxlin.ModelError) as found:
            onnxlin.check_model(given, sandbox=True)
        assert str(found.value) == str(plain.value)


def test_a_crash_of_onnxruntime_is_an_error(plant, conv):
    plant(BROKEN)
    with pytest.raises(SandboxError, match="SIGSEGV, while onnxruntime loaded the") as found:
        onnxlin.check_model(conv, sandbox=True)
    assert found.value.stage == "loading"
    assert "onnxlin/" in found.value.place


def test_a_hang_of_onnxruntime_is_an_error(plant, conv):
    plant(ENDLESS)
    with pytest.raises(SandboxError, match=r"within 3 s .* while onnxruntime ran the model"):
        onnxlin.check_model(conv, sandbox=Sandbox(time=3))


def said(capsys, *arguments):
    code = cli.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


VERIFY = ("--random", "1", "--laws", "at-x", "--no-files")


@pytest.mark.parametrize("asked", [("check", "--json"), ("verify", *VERIFY)])
def test_commands_say_the_same(asked, conv, capsys):
    name, *more = asked
    plain = said(capsys, name, conv, *more)
    assert plain[0] == 0
    assert said(capsys, name, conv, *more, "--sandbox") == plain


def test_explain_says_the_same_and_writes_its_files(conv, capsys, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.load(conv.replace(".onnx", ".npz"))["x"])
    found = []
    for more in ((), ("--sandbox",)):
        asked = ("explain", conv, "x.npy", "--mean", "0.5", "--json", "--out", "made/", *more)
        code, out, _ = said(capsys, *asked)
        assert code == 0
        # The sandbox has a budget, and a peak, of its own.
        found.append({**json.loads(out), "seconds": 0, "memory": None})
        assert found[-1]["files"]
        for file in found[-1]["files"]:
            (tmp_path / file).unlink()
    assert found[0] == found[1]


def test_obstacles_come_with_what_helps(tmp_path, capsys):
    onnx.save(model(HALF), tmp_path / "half.onnx")
    plain = said(capsys, "check", str(tmp_path / "half.onnx"))
    assert plain[0] == 3
    assert "fix  end before it" in plain[1]
    assert said(capsys, "check", str(tmp_path / "half.onnx"), "--sandbox") == plain


@pytest.mark.parametrize("name", ["check", "verify"])
def test_a_crash_is_a_report_and_its_own_exit_code(name, plant, conv, capsys):
    plant(BROKEN)
    code, out, err = said(capsys, name, conv, "--sandbox", "--json")
    assert code == 7
    assert err.startswith("onnxlin: error: The sandboxed process was ended by SIGSEGV, while onnx")
    found = json.loads(out)
    assert found["ok"] is False
    assert (found["sandbox"]["signal"], found["sandbox"]["stage"]) == ("SIGSEGV", "loading")


def test_crashes_of_several_are_in_the_one_document(plant, conv, fixtures, capsys):
    plant(BROKEN)
    other = str(fixtures / "odd" / "conv3d.onnx")
    code, out, err = said(capsys, "check", conv, other, "--sandbox", "--json")
    assert (code, err) == (1, "")
    found = json.loads(out)
    assert [(each["model"], each["ok"]) for each in found["models"]] == [
        (conv, False),
        (other, False),
    ]
    assert all("was ended by SIGSEGV" in each["error"] for each in found["models"])


def test_a_hang_is_one_too(plant, conv, capsys):
    plant(ENDLESS)
    code, out, _ = said(capsys, "verify", conv, "--sandbox", "--time", "3", "--json")
    assert code == 7
    assert json.loads(out)["sandbox"]["limit"] == "time"


@pytest.mark.skipif(sys.platform != "linux", reason="held on Linux alone")
def test_more_memory_than_is_allowed_is_one_too(plant, conv, capsys):
    plant(GREEDY)
    asked = ("check", conv, "--sandbox", "--memory", "256MiB", "--json")
    code, out, _ = said(capsys, *asked)
    assert code == 7
    assert json.loads(out)["sandbox"]["limit"] == "memory"


def test_other_errors_have_their_own_exit_codes(capsys):
    code, out, err = said(capsys, "check", "none.onnx", "--sandbox")
    assert (code, out) == (1, "")
    assert err.startswith("onnxlin: error: No such model file: 'none.onnx'")


def test_laws_hold_in_a_sandbox(conv):
    x = np.load(conv.replace(".onnx", ".npz"))["x"]
    options = {"laws": "at-x", "sandbox": True}
    for given in (None, {"x": x}):
        assert_linearizes(conv, given, rows=[0, 1], dtype=np.float64, **options)
    with pytest.raises(onnxlin.InputError, match="has shape"):
        assert_linearizes(conv, x[0], **options)


def test_a_broken_law_comes_back(plant, conv):
    plant("tests.runtime.sandbox.wrong_rule")
    x = np.load(conv.replace(".onnx", ".npz"))["x"]
    with pytest.raises(LawError, match="Law 'at-x' does not hold") as found:
        assert_linearizes(conv, x, laws="at-x", sandbox=True)
    assert found.value.node.startswith("Conv")
    with pytest.raises(LawError, match=r"no rule for com\.example\.Odd"):
        assert_linearizes(model(HALF), np.ones((1, 2), np.float32), laws="at-x", sandbox=True)


def test_arrays_arrive_as_they_were():
    sent = {"file": np.ones((2, 0)), "a/b": np.array(["x", "é"]), "": np.arange(3, dtype=">i4")}
    found = unpacked(packed(sent))
    assert list(found) == list(sent)
    assert all(np.array_equal(found[n], v) and found[n].dtype == v.dtype for n, v in sent.items())


def test_it_works_without_a_main_module(conv, tmp_path):
    """A script on stdin, as ``python -c`` and notebooks are, and one that guards nothing."""
    text = (
        f"import onnxlin\nprint(onnxlin.check_model({conv!r}, sandbox=True, compiles=False).ok)\n"
    )
    (tmp_path / "script.py").write_text(text)
    path = os.pathsep.join(entry for entry in sys.path if entry)
    for arguments, fed in ((["-"], text), ([str(tmp_path / "script.py")], "")):
        done = subprocess.run(
            [sys.executable, *arguments], input=fed, capture_output=True, text=True, check=True,
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        assert (done.stdout, done.stderr) == ("True\n", "")
    assert [file.name for file in tmp_path.iterdir()] == ["script.py"]


def test_what_lies_in_the_folder_is_not_imported(conv, tmp_path, monkeypatch):
    """A stranger's model may come with a stranger's json.py beside it."""
    monkeypatch.chdir(tmp_path)
    for name in ("json", "onnx", "numpy", "faulthandler"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    assert onnxlin.check_model(conv, sandbox=True, compiles=False).ok
