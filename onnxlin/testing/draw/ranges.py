"""Shapes and values of a model's inputs: what the user says, else what the graph shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from onnxlin.errors import InputError, OnnxlinError, OptionError
from onnxlin.graph import Array, Graph
from onnxlin.load import Model, load
from onnxlin.operators.pieces import caps
from onnxlin.runtime.opened import run, session
from onnxlin.testing.draw.domains import Domain, domain_of
from onnxlin.testing.draw.draw import LENGTHS, RANKS, filled, shapes

Shape = tuple[int, ...]
Ranges = Mapping[str, tuple[float, float]]


class Inputs:
    """The inputs of a model: their domains, and shapes at which the model runs.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
    shapes : {input name: shape}
    ranges : {input name: (lowest, highest)}

    Raises
    ------
    ModelError, InputError, OptionError
    """

    def __init__(self, model: Model, shapes: Mapping[str, Sequence[int]], ranges: Ranges) -> None:
        self.graph = load(model)
        self._given = {name: tuple(shape) for name, shape in shapes.items()}
        for what, names in (("shapes", shapes), ("ranges", ranges)):
            if unknown := sorted(set(names) - set(self.graph.inputs)):
                raise InputError(
                    f"{what}= names {unknown}; the model's inputs are {list(self.graph.inputs)}."
                )
        self._require_fit()
        self.domains = {n: self._domain(n, ranges.get(n)) for n in self.graph.inputs}
        self.bounded = frozenset(ranges)
        self._runs: dict[tuple[Shape, ...], str | None] = {}

    def at(self, lengths: Mapping[str, int], batch: int) -> dict[str, Shape]:
        """Shapes with lengths for axes by name, and for other open axes; else those of `base`."""
        found = {}
        for name, base in self.base.items():
            own = self.graph.inputs[name].shape
            if name in self._given or own is None:
                found[name] = base
                continue
            found[name] = tuple(
                b if isinstance(n, int) else lengths.get(str(n), batch if not i else b)
                for i, (n, b) in enumerate(zip(own, base, strict=True))
            )
        return found if self._problem(found) is None else self.base

    @property
    def open_axes(self) -> dict[str, int]:
        """Named axes of no fixed length, with that of `base`."""
        found: dict[str, int] = {}
        for name, kind in self.graph.inputs.items():
            if kind.shape is not None and name not in self._given:
                pairs = zip(kind.shape, self.base[name], strict=True)
                found |= {n: length for n, length in pairs if isinstance(n, str)}
        return found

    @property
    def fixed(self) -> bool:
        """Whether no axis is open."""
        kinds = {n: k for n, k in self.graph.inputs.items() if n not in self._given}
        return all(k.shape and all(isinstance(n, int) for n in k.shape) for k in kinds.values())

    @cached_property
    def base(self) -> dict[str, Shape]:
        """The smallest shapes tried at which the model runs."""
        kinds, problem = self.graph.inputs, None
        unknown = any(kind.shape is None for kind in kinds.values())
        for ranks in RANKS if unknown else RANKS[:1]:
            for length in LENGTHS[:1] if self.fixed else LENGTHS:
                tried = shapes(kinds, length, ranks) | self._given
                if (said := self._problem(tried)) is None:
                    return tried
                problem = problem or said
        listed = ", ".join(f"{name!r}: {kind}" for name, kind in kinds.items())
        raise OptionError(
            f"The model runs at no shape that was tried for its inputs ({listed}): {problem} "
            "Give shapes={name: shape} or ranges={name: (lowest, highest)}."
        )

    def _problem(self, tried: Mapping[str, Shape]) -> str | None:
        """What the runtime says of an instance of these shapes; None if it runs."""
        key = tuple(tried.values())
        if key not in self._runs:
            rng = np.random.default_rng(0)
            feeds = {n: filled(d, tried[n], "range", rng) for n, d in self.domains.items()}
            try:
                run(self._session, list(self.graph.outputs), feeds)
            except OnnxlinError as error:
                self._runs[key] = str(error)
            else:
                self._runs[key] = None
        return self._runs[key]

    @cached_property
    def _session(self) -> Any:
        return session(self.graph.model, self.graph.initialisers)

    def _require_fit(self) -> None:
        for name, shape in self._given.items():
            own = self.graph.inputs[name].shape
            pairs = zip(own or (), shape, strict=False)
            if own is not None and (
                len(own) != len(shape) or any(isinstance(n, int) and n != m for n, m in pairs)
            ):
                raise InputError(
                    f"shapes= has {shape} for {name!r}; the model says {self.graph.inputs[name]}."
                )

    def _domain(self, name: str, given: tuple[float, float] | None) -> Domain:
        kind = self.graph.inputs[name]
        if given is not None:
            low, high = given
            if not low <= high:
                raise OptionError(f"ranges= has {given} for {name!r}; give (lowest, highest).")
            return (
                Domain(kind, low, high) if kind.is_float else Domain(kind, int(low), int(high) + 1)
            )
        try:
            found = domain_of(self.graph, name, kind)
        except OptionError as error:
            told = str(error).replace("Give --input with an .npz that holds all inputs.", "")
            raise OptionError(f"{told}Give ranges={{{name!r}: (lowest, highest)}}.") from error
        clipped = clip_of(self.graph, name)
        return found if clipped is None else replace(found, low=clipped[0], high=clipped[1])


def clip_of(graph: Graph, name: str) -> tuple[float, float] | None:
    """Bounds of a Clip that is all that reads an input; None if there is none."""
    readers = [node for node in graph.nodes if name in node.inputs]
    bounds = caps(readers[0]) if len(readers) == 1 else None
    if bounds is None:
        return None
    low, high = (_number(graph, bound) for bound in bounds)
    return None if low is None or high is None or low >= high else (low, high)


def _number(graph: Graph, name: str) -> float | None:
    value: Array | None = graph.initialisers.get(name)
    return None if value is None else float(value)
