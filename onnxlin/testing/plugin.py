"""The pytest plugin: ``pytest --onnxlin-model model.onnx`` holds the laws against a model.

pytest imports this at the start of every run, wherever onnxlin is installed, so nothing else of
onnxlin is imported until a model is given.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from onnxlin.testing.run.collected import ModelFile


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("onnxlin", "laws of the affine map of an ONNX model (onnxlin)")
    add = group.addoption
    add("--onnxlin-model", action="append", default=[], metavar="FILE",
        help="test this .onnx file by every law in both modes; several times")  # fmt: skip
    add("--onnxlin-examples", type=int, default=None, metavar="N",
        help="inputs that are drawn for each model (one of each kind)")  # fmt: skip
    add("--onnxlin-seed", type=int, default=0, metavar="N", help="of what is drawn (0)")
    add("--onnxlin-input", action="append", default=[], metavar="FILE",
        help="an input in place of drawn ones (a picture or arrays); several times")  # fmt: skip
    add("--onnxlin-inputs", default=None, metavar="NAMES",
        help="tensors at which the map starts, with commas between")  # fmt: skip
    add("--onnxlin-outputs", default=None, metavar="NAMES",
        help='tensors at which it ends, with commas between, or "logits"')  # fmt: skip
    add("--onnxlin-rounding", default="staircase", choices=("staircase", "straight-through"),
        help="reading of rounding in quantised models (staircase)")  # fmt: skip
    add("--onnxlin-reproducers", default=None, metavar="FOLDER",
        help="where a failure's input and script go (pytest's cache)")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Add the models to what is collected, beside the test files."""
    for path in _models(config):
        if str(path) not in config.args:
            config.args.append(str(path))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ModelFile | None:
    """Collect the models that were given, and no other .onnx file."""
    if file_path not in _models(parent.config):
        return None
    from onnxlin.testing.run.collected import ModelFile  # noqa: PLC0415  # see above

    # pytest gives a file outside of its root no name at all.
    root = parent.config.rootpath
    inside = file_path.is_relative_to(root)
    name = (file_path.relative_to(root) if inside else file_path).as_posix()
    return ModelFile.from_parent(parent, path=file_path, nodeid=name)


def _models(config: pytest.Config) -> list[Path]:
    base = config.invocation_params.dir
    return [(base / given).resolve() for given in config.getoption("--onnxlin-model")]
