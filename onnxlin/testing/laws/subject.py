"""A model under test: loaded once a mode, with the maps of the latest x at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxlin.affine_map import AffineMap
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer, Names, columns
from onnxlin.load import Model, exported, opened
from onnxlin.load.read import read
from onnxlin.runtime.providers import Asked
from onnxlin.runtime.session import without_optimisers
from onnxlin.section import HALVES, STAIRCASE
from onnxlin.section.cut import cut_open
from onnxlin.section.feeds import Instance
from onnxlin.section.gates import Choice
from onnxlin.testing.verdicts import NotApplicable

Feeds = Mapping[str, Array]
ChooseRows = Callable[[Array, int], Any]

# Rows of W to compute of a model with many outputs, and the most entries of W altogether.
FEW_ROWS = 5
MOST_ENTRIES = 2_000_000


def spread_rows(outputs: int, inputs: int) -> list[int] | None:
    """All rows (None), or a few that are spread over the outputs where W would be large."""
    if outputs * inputs <= MOST_ENTRIES:
        return None
    return sorted({i * (outputs - 1) // (FEW_ROWS - 1) for i in range(FEW_ROWS)})


class Subject:
    """A model and how it is linearised, for laws to be held against.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
    inputs, outputs, rounding, gates, memory, providers
        See `onnxlin.Linearizer`.
    rows : rows of W, or callable, optional
        As in `onnxlin.linearize`; a callable is given the outputs ``(n_out,)`` and the number of
        features. By default all, or a few that are spread over the outputs of a large map.
    engine, dtype
        Of the maps where a law does not choose them; see `onnxlin.linearize`.

    Raises
    ------
    ModelError, TensorNameError, MissingRuleError, OptionError
        When it is first linearised.
    """

    def __init__(
        self,
        model: Model,
        *,
        inputs: Names = None,
        outputs: Names = None,
        rounding: str = STAIRCASE,
        gates: Choice = HALVES,
        memory: int | str | None = None,
        providers: Sequence[Asked] | None = None,
        rows: Any = None,
        engine: str = "auto",
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        self.model = exported(model)
        self.options: dict[str, Any] = {
            "inputs": [inputs] if isinstance(inputs, str) else inputs,
            "outputs": outputs,
            "rounding": rounding,
            "gates": gates,
            "memory": memory,
            "providers": providers,
        }
        self.engine, self.dtype = engine, dtype
        self._chosen = rows
        self._linearizers: dict[Any, Linearizer] = {}
        self._latest: str | None = None
        self._maps: dict[Any, AffineMap] = {}
        self._rows: Any = None

    def linearizer(self, mode: str = "tangent") -> Linearizer:
        """Return the linearizer of a mode, made when first asked for."""
        if mode not in self._linearizers:
            self._linearizers[mode] = self._opened(self.model, mode, {})
        return self._linearizers[mode]

    def _opened(self, model: Model, mode: str, ends: dict[str, Any]) -> Linearizer:
        # With optimisers the forward pass of a compiled graph is not to the last bit what other
        # engines see, so a unit within a rounding of its kink may lie on its other side. Both maps
        # are then right, but they differ.
        options = self.options | ends | {"session_options": without_optimisers()}
        return Linearizer(model, mode=mode, **options)

    def feeds(self, x: Instance) -> dict[str, Array]:
        """Bring x to the model's input names and dtypes, or raise InputError."""
        return self.linearizer().feeds(x)

    def rows(self, feeds: Feeds, mode: str = "tangent") -> Any:
        """Rows of W to compute at x; the same in both modes."""
        self._turn_to(feeds)
        if self._rows is None:
            lin = self.linearizer(mode)
            y = np.concatenate([np.ravel(value) for value in lin.run(feeds).values()])
            chosen = self._chosen
            if chosen is None:
                chosen = spread_rows(y.size, columns(lin, feeds))
            elif callable(chosen):
                chosen = chosen(y, columns(lin, feeds))
            self._rows = (chosen,)
        return self._rows[0]

    def map(
        self,
        feeds: Feeds,
        mode: str = "tangent",
        dtype: npt.DTypeLike | None = None,
        engine: str | None = None,
    ) -> AffineMap:
        """Linearise at x, or return the map that was made at this x before.

        Kept are those that several laws ask for: of other engines each would hold a program.
        """
        self._turn_to(feeds)
        kind = self.dtype if dtype is None else dtype
        by = engine or self.engine
        key = (mode, None if kind is None else np.dtype(kind), by)
        if key in self._maps:
            return self._maps[key]
        m = self.linearizer(mode)(feeds, self.rows(feeds, mode), by, kind)
        if by in (self.engine, "reverse"):
            self._maps[key] = m
        return m

    def movable(self, feeds: Feeds, mode: str = "tangent") -> tuple[Linearizer, dict[str, Array]]:
        """Return a linearizer whose x is among its feeds, and these feeds.

        A map may start at a hidden tensor, at the embeddings of integers say, which cannot be
        moved by moving what is fed. The model is then cut open there.
        """
        lin = self.linearizer(mode).serving(feeds)
        hidden = [name for name in lin.section.inputs if name not in lin.graph.inputs]
        if not hidden:
            return lin, dict(feeds)
        at = {name: value for name, value in self.map(feeds, mode).inputs.items() if name in hidden}
        key = (mode, *((name, value.shape) for name, value in at.items()))
        if key not in self._linearizers:
            cut = _cut_open(read(self.model), at)
            ends = {"inputs": lin.section.inputs, "outputs": lin.section.outputs}
            self._linearizers[key] = self._opened(cut, mode, ends)
        return self._linearizers[key], {**feeds, **at}

    def proto(self) -> onnx.ModelProto:
        """Return the model as it was given, read."""
        return read(self.model)

    def _turn_to(self, feeds: Feeds) -> None:
        """Forget the maps of another x."""
        digest = blake2b()
        for name, value in feeds.items():
            text = value.tolist() if value.dtype.kind == "O" else ""
            digest.update(f"{name}{value.dtype}{value.shape}{text}".encode())
            if value.dtype.kind != "O":
                digest.update(np.ascontiguousarray(value).tobytes())
        if digest.hexdigest() != self._latest:
            self._latest = digest.hexdigest()
            self._maps.clear()
            self._rows = None


def _cut_open(model: onnx.ModelProto, at: Feeds) -> onnx.ModelProto:
    """Make hidden tensors inputs of a model, or raise NotApplicable where the file has them not."""
    whole = opened(model)
    made = {name for node in whole.graph.node for name in node.output}
    if lost := sorted(set(at) - made):
        raise NotApplicable(
            f"x starts at {lost}, which are made inside of a node: nothing moves it"
        )
    return cut_open(whole, at)
