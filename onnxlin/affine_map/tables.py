"""A map as a table of pandas, or as a data set of xarray."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from onnxlin.affine_map.protocol import Readable
from onnxlin.errors import OnnxlinError
from onnxlin.graph import Array
from onnxlin.graph.picture import guess_geometry
from onnxlin.primitives import Shape
from onnxlin.section.options import one_of

WHAT = ("contributions", "W")


class Tabled:
    """Part of `AffineMap`: how it becomes a table."""

    @property
    def features(self: Readable) -> tuple[str, ...]:
        """Names of the columns of W.

        Those of the model's metadata entry "features" where they fit, else made of input and place.
        """
        return self.names.columns(self.shapes[0])

    @property
    def row_names(self: Readable) -> tuple[str, ...]:
        """Names of the rows of W.

        Those of the model's metadata entry "classes" where they fit, else indices of outputs.
        """
        return self.names.of_rows(self.rows)

    def to_frame(self: Readable, what: str = "contributions") -> Any:
        """Return a `pandas.DataFrame`, a feature a line and a row of W a column.

        Parameters
        ----------
        what : {"contributions", "W"}
            ``W * x``, whose columns with b sum to F(x), or W itself.

        Returns
        -------
        pandas.DataFrame (n_in, n_rows)
            Its ``attrs`` hold b, y and residual, one number a column, and the map's mode and notes.

        Raises
        ------
        OnnxlinError
            pandas is not installed.
        """
        one_of("what", what, WHAT)
        values = self.contributions if what == "contributions" else self.W
        return frame(values.T, self.features, self.row_names, **_about(self))

    def to_xarray(self: Readable) -> Any:
        """Return an `xarray.Dataset` of W, contributions, x, b, y, residual and the bias ledger.

        Returns
        -------
        xarray.Dataset
            Dimensions ``output``; ``feature``, or ``channel``, ``row`` and ``column`` of a picture,
            or ``INPUT_0``, ``INPUT_1``, ... of other axes longer than 1; ``node`` of the ledger.
            Names are coordinates. Of several inputs W, contributions and x are ``W:INPUT`` and so
            on. Attributes say mode, rounding, engine and notes.

        Raises
        ------
        OnnxlinError
            xarray is not installed.
        """
        xarray = _package("xarray", "to_xarray()")
        rows = "output"
        found: dict[str, Any] = {
            "b": (rows, self.b),
            "y": (rows, self.y),
            "residual": (rows, self.residual),
            "ledger": (("node", rows), _stacked(list(self.bias_by_node.values()), len(self.rows))),
        }
        coordinates: dict[str, Any] = {
            rows: np.array(self.row_names, dtype=object),
            "node": np.array(list(self.bias_by_node), dtype=object),
        }
        contributions = self.contributions
        for name, at in self.columns_of.items():
            dims, shape = _dims(name, self.shapes[0][name], alone=len(self.inputs) == 1)
            mark = "" if len(self.inputs) == 1 else f":{name}"
            for what, values in (("W", self.W), ("contributions", contributions)):
                part = values[:, at].reshape(len(self.rows), *shape)
                found[what + mark] = ((rows, *dims), part)
            found["x" + mark] = (dims, self.x[at].reshape(shape))
            if dims == ("feature",):
                coordinates["feature"] = np.array(self.features, dtype=object)
        about = {name: getattr(self, name) for name in ("mode", "rounding", "engine")}
        about["notes"] = list(self.notes)
        return xarray.Dataset(found, coords=coordinates, attrs=about)


def frame(values: Array, lines: Sequence[str], columns: Sequence[str], **about: Any) -> Any:
    """Return a `pandas.DataFrame` of named features and rows, with attributes.

    Raises
    ------
    OnnxlinError
        pandas is not installed.
    """
    pandas = _package("pandas", "to_frame()")
    made = pandas.DataFrame(
        np.ascontiguousarray(values),
        index=pandas.Index(list(lines), name="feature"),
        columns=pandas.Index(list(columns), name="row"),
    )
    made.attrs |= about
    return made


def _about(m: Readable) -> dict[str, Any]:
    numbers = {"b": m.b, "y": m.y, "residual": m.residual}
    lists = {name: value.tolist() for name, value in numbers.items()}
    return {**lists, "mode": m.mode, "notes": list(m.notes)}


def _dims(name: str, shape: Shape, *, alone: bool) -> tuple[tuple[str, ...], Shape]:
    """Names of an input's axes, and their lengths; those of 1 are left out."""
    tight = tuple(n for n in shape if n != 1)
    seen = guess_geometry(shape) if alone else None
    if seen is not None:
        axes = ("channel", "row", "column") if seen.layout == "nchw" else (
            "row", "column", "channel")  # fmt: skip
        return axes, tuple(shape[1:])
    if alone and len(tight) < 2:
        return ("feature",), (int(np.prod(shape, dtype=np.int64)),)
    kept = _kept(shape)
    return tuple(f"{name}_{i}" for i in kept), tuple(shape[i] for i in kept)


def _kept(shape: Shape) -> list[int]:
    return [i for i, n in enumerate(shape) if n != 1]


def _stacked(shares: list[Array], count: int) -> Array:
    return np.stack(shares) if shares else np.zeros((0, count))


def _package(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise OnnxlinError(f'{what} needs {name}: pip install "onnxlin[data]".') from error
