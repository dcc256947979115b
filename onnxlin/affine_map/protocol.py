"""What files, pages and proofs read of a map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from onnxlin.affine_map.verdict import Doubt, Verdict
from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array, Shape


class Readable(Protocol):
    """An `onnxlin.AffineMap`, as those see it that it is made of.

    They cannot import it: it imports them.
    """

    inputs: dict[str, Array]
    outputs: dict[str, Array]
    rows: Seeds
    mode: str
    rounding: str
    engine: str
    plan: str
    dtype: np.dtype[Any]
    notes: tuple[str, ...]

    @property
    def x(self) -> Array: ...
    @property
    def y(self) -> Array: ...
    @property
    def W(self) -> Array: ...
    @property
    def b(self) -> Array: ...
    @property
    def Wx(self) -> Array: ...
    @property
    def bias_by_node(self) -> Mapping[str, Array]: ...
    @property
    def residual(self) -> Array: ...
    @property
    def bound(self) -> Array: ...
    @property
    def error_bound(self) -> Array: ...
    @property
    def output_size(self) -> Array: ...
    @property
    def verdicts(self) -> tuple[Verdict, ...]: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def composition_residual(self) -> Array: ...
    @property
    def composition_bound(self) -> Array: ...
    @property
    def shapes(self) -> tuple[dict[str, Shape], dict[str, Shape]]: ...
    @property
    def columns_of(self) -> dict[str, slice]: ...
    @property
    def detached(self) -> bool: ...
    def first_departure(self) -> str | None: ...
    def doubt(self, row: int) -> Doubt | None: ...
