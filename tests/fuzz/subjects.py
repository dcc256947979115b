"""What is broken: small sound models with an x each, laid in a folder for all workers."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"
LARGEST, MOST = 20_000, 500
"""Bytes of a model, and entries of an x, that are taken: an input should take milliseconds."""
GROWN = 60


@dataclass(frozen=True)
class Subject:
    """A sound model and an x."""

    name: str
    model: bytes
    x: dict[str, Any]

    @property
    def proto(self) -> onnx.ModelProto:
        """A fresh copy."""
        return onnx.ModelProto.FromString(self.model)


def lay(folder: Path, *, all_cases: bool) -> None:
    """Write subjects into a folder: fixtures, random graphs, and cases of the specification."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [shipped(), grown(), *([specified()] if all_cases else [])]
    for source in sources:
        for name, model, x in source:
            if len(model) <= LARGEST and sum(v.size for v in x.values()) <= MOST:
                (folder / f"{name}.onnx").write_bytes(model)
                held = {n: v for n, v in x.items() if v.dtype.kind in "fiub"}
                np.savez(folder / f"{name}.x.npz", allow_pickle=False, **held)


def shipped() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """The hand-made fixtures."""
    for path in sorted((FIXTURES / "odd").glob("*.onnx")):
        with np.load(path.with_suffix(".npz")) as file:
            names = {i.name for i in onnx.load(path).graph.input}
            yield path.stem, path.read_bytes(), {k: v for k, v in file.items() if k in names}


def grown() -> list[tuple[str, bytes, dict[str, Any]]]:
    """Random graphs of every operator that has a maker: the same ones each time."""
    from hypothesis import HealthCheck, Phase, given, settings

    from onnxlin.testing.models import onnx_models

    found: list[tuple[str, bytes, dict[str, Any]]] = []

    @settings(
        max_examples=GROWN, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(onnx_models(max_nodes=5))
    def collect(drawn: Any) -> None:
        found.append((f"grown_{len(found):03}", drawn.model.SerializeToString(), drawn.x))

    collect()
    return found


def specified() -> Iterable[tuple[str, bytes, dict[str, Any]]]:
    """The specification's cases, one operator each, whose inputs are all arrays."""
    from tests.corpus import cases

    for case in cases():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given, _ = case.data_sets[0]
        names = [info.name for info in case.model.graph.input]
        x = {name: _array(value) for name, value in zip(names, given, strict=False)}
        # An archive holds none of the types that NumPy itself does not have, and no lists.
        x = {n: v for n, v in x.items() if isinstance(v, np.ndarray) and v.dtype.isbuiltin == 1}
        yield case.name, case.model.SerializeToString(), x


def _array(value: Any) -> Any:
    found = onnx.numpy_helper.to_array(value) if hasattr(value, "dims") else value
    return np.asarray(found) if isinstance(found, np.generic) else found


@lru_cache(maxsize=4)
def names(folder: Path) -> list[str]:
    """Names of the subjects in a folder."""
    return sorted(path.stem for path in folder.glob("*.onnx"))


@lru_cache(maxsize=512)
def subject(folder: Path, name: str) -> Subject:
    """Read one."""
    with np.load(folder / f"{name}.x.npz") as file:
        return Subject(name, (folder / f"{name}.onnx").read_bytes(), dict(file))
