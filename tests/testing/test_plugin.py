"""The pytest plugin, run on a folder as a user has one."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin

# Loaded before: what is loaded first in a run of `pytester` is unloaded again after it, and NumPy
# cannot be loaded twice.
import onnxlin.testing.run.collected
from tests.small import model

ROOT = Path(onnxlin.__file__).parents[1]
# The entry point may be installed or not; either way the plugin is loaded once, by its module.
PLUGIN = ("-p", "no:onnxlin", "-p", "onnxlin.testing.plugin", "-p", "no:cacheprovider")
NET = """g (float[1,3] x) => (float[1,2] y) <float[3,2] w={1,-2,0.5,1,2,-1}> {
    [mm] h = MatMul(x, w)
    [act] y = Relu(h)
}"""
WITHOUT_RULES = """
from onnxlin import RULES

for op_type in ("Relu", "MatMul"):
    del RULES["", op_type]
"""
WRONG = """
from onnxlin import RULES
from onnxlin.primitives import Diagonal
from onnxlin.rules import Affine, Rule

def wrong(node):
    return Affine({0: Diagonal.of(node.shape(0), node.cast(1.5 * (node.native(0) > 0)))})

RULES["", "Relu"] = Rule(wrong)
"""


@pytest.fixture
def folder(pytester: pytest.Pytester) -> Iterator[pytest.Pytester]:
    """A folder with a small net in it; the rules are put back afterwards."""
    onnx.save(model(NET), pytester.path / "net.onnx")
    pytester.makeini("[pytest]")
    before = dict(onnxlin.RULES)
    yield pytester
    onnxlin.RULES.clear()
    onnxlin.RULES.update(before)


def run(folder: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in the folder, in this process."""
    return folder.runpytest_inprocess(*PLUGIN, *arguments)


def test_every_law_is_a_test_in_both_modes(folder: pytest.Pytester) -> None:
    found = run(folder, "--onnxlin-model", "net.onnx", "-v")
    found.assert_outcomes(passed=16)
    for name in ("tangent::at-x", "frozen::at-x", "tangent::inside", "frozen::differences"):
        found.stdout.fnmatch_lines([f"net.onnx::{name} PASSED*"])


def test_a_wrong_rule_fails_with_the_node_and_a_script(folder: pytest.Pytester) -> None:
    folder.makeconftest(WRONG)
    found = run(folder, "--onnxlin-model", "net.onnx", "--onnxlin-reproducers", "failed")
    assert found.ret == pytest.ExitCode.TESTS_FAILED
    lines = [
        "*net.onnx::tangent::at-x*",
        "Law 'at-x' does not hold (mode='tangent').",
        "*first node that departs: Relu at node 'act', output 'y'*",
        "*shrunk to * of 3 entries*",
        "*reproduce: python *net.tangent.at-x.py",
    ]
    found.stdout.fnmatch_lines(lines)
    # No frames of the plugin or of the laws are shown.
    found.stdout.no_fnmatch_line("*laws*.py*")
    script = folder.path / "failed" / "net.tangent.at-x.py"
    assert "assert_linearizes" in script.read_text("utf-8")
    assert set(np.load(script.with_suffix(".npz"))) == {"x"}


def test_obstacles_are_listed_in_full_once(folder: pytest.Pytester) -> None:
    folder.makeconftest(WITHOUT_RULES)
    found = run(folder, "--onnxlin-model", "net.onnx", "-rfs")
    found.assert_outcomes(failed=1, skipped=15)
    # The summary below repeats it where pytest does not cut its lines, as under CI.
    text, _, _ = found.stdout.str().partition("short test summary info")
    assert text.count("'mm'") == text.count("'act'") == 1
    found.stdout.fnmatch_lines(["*there is no map of this model*net.onnx::tangent::at-x gives"])


def test_what_a_law_cannot_say_is_skipped_with_the_reason(folder: pytest.Pytester) -> None:
    smooth = "g (float[2] x) => (float[2] y) {[bend] y=Tanh(x)}"
    onnx.save(model(smooth), folder.path / "smooth.onnx")
    found = run(folder, "--onnxlin-model", "smooth.onnx", "-k", "inside", "-rs")
    found.assert_outcomes(skipped=2)
    found.stdout.fnmatch_lines(["SKIPPED*Tanh*bend*"])


def test_beside_the_users_own_tests(folder: pytest.Pytester) -> None:
    folder.makepyfile("def test_own():\n    pass")
    shutil.copy(folder.path / "net.onnx", folder.path / "other.onnx")
    run(folder).assert_outcomes(passed=1)
    both = ("--onnxlin-model", "net.onnx", "--onnxlin-model=other.onnx")
    found = run(folder, *both, "-k", "own or at-x", "-v")
    found.assert_outcomes(passed=5)
    found = run(folder, *both, "--collect-only", "-q")
    listed = [line for line in found.outlines if "::" in line]
    assert len(listed) == len(set(listed)) == 33
    found = run(folder, "--onnxlin-model=net.onnx", "net.onnx::frozen::ledger", "-q")
    assert "frozen::ledger" in found.stdout.str() or found.parseoutcomes()["passed"] >= 1


def test_models_outside_of_the_project_keep_their_names(
    folder: pytest.Pytester, tmp_path: Path
) -> None:
    models = [tmp_path / "one.onnx", tmp_path / "two.onnx"]
    for path in models:
        shutil.copy(folder.path / "net.onnx", path)
    found = run(folder, *(f"--onnxlin-model={path}" for path in models), "--collect-only", "-q")
    for path in models:
        found.stdout.fnmatch_lines([f"{path.as_posix()}::tangent::at-x"])


def test_an_input_of_ones_own(folder: pytest.Pytester) -> None:
    np.save(folder.path / "x.npy", np.ones((1, 3), np.float32))
    at = ("--onnxlin-model", "net.onnx", "-k", "at-x and tangent")
    run(folder, *at, "--onnxlin-input", "x.npy").assert_outcomes(passed=1)
    np.save(folder.path / "long.npy", np.ones((1, 4), np.float32))
    found = run(folder, *at, "--onnxlin-input", "long.npy")
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*(1, 4)*"])


def test_ends_and_examples(folder: pytest.Pytester) -> None:
    options = ("--onnxlin-outputs", "h", "--onnxlin-inputs", "x", "--onnxlin-examples", "2")
    found = run(folder, "--onnxlin-model", "net.onnx", *options, "--junitxml", "out.xml")
    assert found.ret == pytest.ExitCode.OK
    junit = (folder.path / "out.xml").read_text("utf-8")
    assert 'name="at-x"' in junit
    assert 'value="2"' in junit


def test_a_model_that_is_not_there(folder: pytest.Pytester) -> None:
    found = run(folder, "--onnxlin-model", "nothing.onnx")
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines(["*nothing.onnx*"])


def test_spread_over_processes(folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xdist")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    at = ("--onnxlin-model", "net.onnx", "-k", "at-x")
    folder.runpytest_subprocess(*PLUGIN, *at, "-n", "2").assert_outcomes(passed=2)
    # A failure comes back from its worker with all that is to be said of it.
    folder.makeconftest(WRONG)
    done = folder.runpytest_subprocess(*PLUGIN, *at, "-n", "2")
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["*Law 'at-x' does not hold*"])


def commands() -> list[str]:
    """What README.md and docs/testing.md say to run."""
    pages = [ROOT / "README.md", ROOT / "docs" / "testing.md"]
    found = [re.findall(r"pytest (--onnxlin-model .*)", page.read_text("utf-8")) for page in pages]
    return [line for lines in found for line in lines]


def test_there_are_commands() -> None:
    assert len(commands()) == 2


@pytest.mark.parametrize("line", commands())
def test_the_pages_commands_run(line: str, folder: pytest.Pytester) -> None:
    (folder.path / "fixtures").symlink_to(ROOT / "fixtures")
    found = run(folder, *shlex.split(line))
    assert found.ret == pytest.ExitCode.OK
    assert found.parseoutcomes()["passed"] >= 10


def test_starting_pytest_imports_nothing_heavy() -> None:
    code = (
        "import sys, onnxlin.testing.plugin; "
        "print({'numpy', 'onnx', 'onnxruntime', 'scipy', 'hypothesis'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
