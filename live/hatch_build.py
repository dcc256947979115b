"""Take what the wheel holds from the npm package, at build time: see README.md."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).parent
FOLDER = "onnxlin_live"
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
"""The smallest files that suffice: the CPU's kernels, with SIMD, and no WebGPU or WebNN."""
NOTICES = ("LICENSE", "ThirdPartyNotices.txt")


class Onnxruntime(BuildHookInterface[Any]):
    """Put the files, packed, and their licences into the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the files, and name them to the wheel."""
        if version == "editable":
            raise RuntimeError("onnxlin-live holds files that are made at build time: leave out -e")
        self._made = tempfile.TemporaryDirectory()
        made = Path(self._made.name)
        about = json.loads((HERE / "npm.json").read_text("utf-8"))
        tarball = checked(fetched(about, made), about["integrity"])
        for path in [*packed(tarball, made), *notices(made)]:
            build_data["force_include"][str(path)] = f"{FOLDER}/{path.relative_to(made)}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what lies in the wheel by now."""
        self._made.cleanup()


def fetched(about: dict[str, str], folder: Path) -> Path:
    """Return the tarball: the file that the environment names, or what npm gets."""
    if (given := os.environ.get("ONNXLIN_LIVE_TARBALL")) is not None:
        return Path(given)
    what = f"{about['name']}@{about['version']}"
    try:
        asked = ["npm", "pack", what, "--silent"]
        told = subprocess.run(asked, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise RuntimeError(
            f"Building onnxlin-live takes {what} by npm, which is not installed. Install Node.js, "
            "or name the package's tarball in ONNXLIN_LIVE_TARBALL."
        ) from error
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"npm pack {what} failed: {error.stderr.strip()}") from error
    return folder / told.stdout.split()[-1]


def checked(tarball: Path, integrity: str) -> Path:
    """Return a tarball if it is the one that was looked at; raise RuntimeError if not."""
    found = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if f"sha512-{found}" != integrity:
        raise RuntimeError(f"{tarball} has sha512-{found}; npm.json says {integrity}. Not used.")
    return tarball


def packed(tarball: Path, folder: Path) -> list[Path]:
    """Unpack the two files, and gzip them, the same bytes each time."""
    made = []
    with tarfile.open(tarball) as archive:
        for name in (SCRIPT, WASM):
            member = archive.extractfile(f"package/dist/{name}")
            assert member is not None
            made.append(folder / f"{name}.gz")
            made[-1].write_bytes(gzip.compress(member.read(), 9, mtime=0))
    return made


def notices(folder: Path) -> list[Path]:
    """Copy onnxruntime's licence and third-party notices out of its Python package."""
    found = distribution("onnxruntime")
    made = [folder / "licences" / name for name in NOTICES]
    (folder / "licences").mkdir()
    for path in made:
        path.write_bytes(Path(str(found.locate_file(f"onnxruntime/{path.name}"))).read_bytes())
    return made
