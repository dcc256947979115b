"""The wheel of onnxlin-live holds what npm.json says, or is not built."""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling")
LIVE = Path(__file__).parents[3] / "live"


@pytest.fixture(scope="module")
def hook():
    if not LIVE.exists():
        pytest.skip("an installed package has no folder live/ beside it")
    spec = importlib.util.spec_from_file_location("live_hook", LIVE / "hatch_build.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def tarball(hook, path: Path) -> str:
    """Write one that looks like npm's; return its integrity."""
    with tarfile.open(path, "w:gz") as archive:
        for name in (hook.SCRIPT, hook.WASM):
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def test_files_are_packed_with_their_licences(hook, tmp_path, monkeypatch) -> None:
    path = tmp_path / "given.tgz"
    integrity = tarball(hook, path)
    monkeypatch.setenv("ONNXLIN_LIVE_TARBALL", str(path))
    given = hook.checked(hook.fetched({"name": "a", "version": "1"}, tmp_path), integrity)
    for made in hook.packed(given, tmp_path):
        assert gzip.decompress(made.read_bytes()).decode() == made.name.removesuffix(".gz")
    licence, notices = hook.notices(tmp_path)
    assert "Microsoft Corporation" in licence.read_text("utf-8")
    assert "THIRD PARTY" in notices.read_text("utf-8")


def test_another_file_is_refused(hook, tmp_path) -> None:
    path = tmp_path / "given.tgz"
    tarball(hook, path)
    about = json.loads((LIVE / "npm.json").read_text("utf-8"))
    with pytest.raises(RuntimeError, match=r"npm.json says sha512-.*Not used"):
        hook.checked(path, about["integrity"])


def test_without_npm_it_says_what_to_do(hook, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("ONNXLIN_LIVE_TARBALL", raising=False)
    about = {"name": "onnxruntime-web", "version": "1"}

    def absent(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", absent)
    with pytest.raises(RuntimeError, match="onnxruntime-web@1 by npm, which is not installed"):
        hook.fetched(about, tmp_path)

    def failing(*_, **__):
        raise subprocess.CalledProcessError(1, "npm", stderr="404")

    monkeypatch.setattr(subprocess, "run", failing)
    with pytest.raises(RuntimeError, match="npm pack onnxruntime-web@1 failed: 404"):
        hook.fetched(about, tmp_path)


def test_the_version_is_that_of_the_npm_package(hook) -> None:
    about = json.loads((LIVE / "npm.json").read_text("utf-8"))
    assert f'version = "{about["version"]}"' in (LIVE / "pyproject.toml").read_text("utf-8")
