"""Laws held in a sandbox: what is sent to the child, and a broken law on its way back."""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin import archives
from onnxlin.graph import Array
from onnxlin.load import Plain
from onnxlin.runtime.sandbox import Sandbox, asked, boxed
from onnxlin.section.feeds import Instance
from onnxlin.testing.run.reproduce import storable
from onnxlin.testing.verdicts import LawError, NoMapError


def assert_in_child(
    model: Plain,
    x: Instance | None,
    sandbox: Sandbox,
    *,
    rows: Any,
    dtype: npt.DTypeLike | None,
    options: dict[str, Any],
) -> None:
    """Have a child hold the laws.

    Parameters
    ----------
    model, x, rows, dtype
        See `onnxlin.testing.assert_linearizes`.
    options : dict
        Its other arguments, as JSON has them.

    Raises
    ------
    LawError, OnnxlinError
        SandboxError among them.
    """
    named = isinstance(x, Mapping)
    arrays = {} if x is None else dict(x) if isinstance(x, Mapping) else {"x": x}
    form = None if x is None else "named" if named else "bare"
    kind = None if dtype is None else np.dtype(dtype).str
    about = {"options": options, "dtype": kind, "x": form}
    blobs = [packed(arrays), packed({} if rows is None else {"rows": rows})]
    broken, _ = boxed(f"{__name__}:held", about, model, sandbox, blobs)
    if broken is not None:
        raise NoMapError(broken["why"]) if "why" in broken else LawError(*broken["law"])


def held(about: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any] | None, list[bytes]]:
    """Hold the laws, in the child; return what the one that is broken says, or None."""
    model, sent = asked(about, blobs)
    arrays, rows = unpacked(sent[0]), unpacked(sent[1])
    x = {"named": arrays, "bare": arrays.get("x")}.get(about["x"])
    # By its name: the assertions import this module.
    assertions = import_module("onnxlin.testing.assertions")
    options = {**about["options"], "rows": rows.get("rows"), "dtype": about["dtype"]}
    try:
        assertions.assert_linearizes(model, x, **options)
    except NoMapError as error:
        return {"why": str(error)}, []
    except LawError as error:
        return {"law": list(error.args)}, []
    return None, []


def packed(arrays: Mapping[str, Any]) -> bytes:
    """Write arrays as ``.npz``; their names may be any."""
    stream = io.BytesIO()
    archives.write(stream, {name: storable(np.asarray(value)) for name, value in arrays.items()})
    return stream.getvalue()


def unpacked(data: bytes) -> dict[str, Array]:
    """Read them back."""
    return archives.read(io.BytesIO(data))
