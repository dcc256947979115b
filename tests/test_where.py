"""What is kept beside the package for its users: each agrees with pyproject.toml, and runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import onnxlin
from onnxlin import cli

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NET = "fixtures/circles/mlp.onnx"


def read(name: str) -> Any:
    return pytest.importorskip("yaml").safe_load((ROOT / name).read_text("utf-8"))


def spaced(requirement: str) -> str:
    """A requirement as conda writes it."""
    return re.sub(r"\s*(?=[<>=])", " ", requirement, count=1)


def test_the_citation_is_of_this_version() -> None:
    found = read("CITATION.cff")
    assert found["version"] == onnxlin.__version__
    assert found["license"] == PROJECT["license"]
    assert found["keywords"] == PROJECT["keywords"]


def test_the_recipe_asks_for_what_the_package_asks_for() -> None:
    found = read("recipe/recipe.yaml")
    assert found["context"] == {"name": PROJECT["name"], "version": onnxlin.__version__}
    python = spaced("python" + PROJECT["requires-python"])
    assert found["requirements"]["run"] == [python, *map(spaced, PROJECT["dependencies"])]
    (script,) = found["build"]["python"]["entry_points"]
    assert script == f"onnxlin = {PROJECT['scripts']['onnxlin']}"
    own = {"matplotlib": "matplotlib-base", "Pillow": "pillow"}
    extras = [re.sub("|".join(own), lambda m: own[m[0]], r) for r in
              PROJECT["optional-dependencies"]["cli"]]  # fmt: skip
    assert found["requirements"]["run_constraints"] == list(map(spaced, extras))
    assert (found["about"]["license"], found["about"]["summary"]) == (
        PROJECT["license"], PROJECT["description"])  # fmt: skip


def test_the_image_holds_what_it_copies_and_what_is_not_ignored() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    copied = {w for line in re.findall(r"^COPY (.*) \S+$", text, re.M) for w in line.split()}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)
    assert set(re.findall(r"\[([\w,]+)\]\"", text)) == {"cli,testing"}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command ``onnxlin`` that is this one."""
    script = tmp_path / "onnxlin"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m onnxlin "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def ran(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        command, cwd=ROOT, text=True, capture_output=True, env=os.environ | environment, check=False
    )


@pytest.mark.usefixtures("path")
def test_steps_of_the_action_run(tmp_path: Path) -> None:
    """Names with spaces, folders, empty lines; what fails fails the step."""
    steps = {step.get("name"): step for step in read("action.yml")["runs"]["steps"]}
    folder = tmp_path / "some models"
    folder.mkdir()
    (folder / "a net.onnx").write_bytes((ROOT / NET).read_bytes())
    environment = {"MODELS": f"{folder}\n\n{NET}\n", "ARGUMENTS": "--compiling no"}
    found = ran(["bash", "-eo", "pipefail", "-c", steps["check"]["run"]], **environment)
    assert (found.returncode, "2 of 2 models" in found.stdout) == (0, True), found.stderr
    (folder / "broken.onnx").write_bytes(b"\xff")
    found = ran(["bash", "-eo", "pipefail", "-c", steps["check"]["run"]], **environment)
    assert found.returncode == 1
    assert "readable ONNX model" in found.stdout
    assert set(steps["verify"]["env"]) <= set(environment)


@pytest.mark.usefixtures("path")
def test_hooks_run() -> None:
    check, verify = read(".pre-commit-hooks.yaml")
    assert check["entry"] == "onnxlin check"
    assert cli.main([*shlex.split(check["entry"])[1:], "--compiling", "no", NET, NET]) == 0
    assert set(verify["additional_dependencies"]) == set(
        PROJECT["optional-dependencies"]["testing"]
    )
    found = ran([*shlex.split(verify["entry"]), "no.onnx", NET])
    assert (found.returncode, "no.onnx" in found.stderr) == (1, True)
    for hook in (check, verify):
        assert re.search(hook["files"], NET)


def test_completion_knows_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    for shell in ("bash", "zsh", "fish"):
        assert cli.main(["--completion", shell]) == 0
        found = capsys.readouterr().out
        assert "onnxlin" in found
        assert all(name in found for name in ("explain", "check", "sandbox"))


def test_completion_without_its_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["--completion", "bash"]) == 1
    assert "onnxlin[completion]" in capsys.readouterr().err


def test_check_of_several_gives_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import onnx

    from tests.cli.helpers import write_model

    bad = write_model(tmp_path / "bad.onnx", [onnx.helper.make_node("Swirl", ["x"], ["y"], "s",
                      domain="my.domain")])  # fmt: skip
    good = write_model(tmp_path / "good.onnx", [onnx.helper.make_node("Relu", ["x"], ["y"])])
    assert cli.main(["check", "--compiling", "no", str(tmp_path)]) == 3
    text = capsys.readouterr().out
    assert "Swirl at node 's'" in text
    assert "1 of 2 models can be linearised" in text
    assert "Fix: " in text
    assert cli.main(["check", "--json", "--compiling", "no", good, bad]) == 3
    (tmp_path / "none").mkdir()
    assert cli.main(["check", str(tmp_path / "none")]) == 1
    assert "holds no .onnx files" in capsys.readouterr().err
