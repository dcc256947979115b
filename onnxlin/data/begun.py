"""A run's store: made, or found to be that of the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from onnxlin.data.chunked import Chunked
from onnxlin.data.order import Order
from onnxlin.data.store import Store
from onnxlin.errors import OptionError
from onnxlin.runtime.session import VERSION
from onnxlin.version import __version__

What = TypeVar("What", bound=Chunked)


def begun(
    store: Store, task: What, chunk: int | None, engine: str, *, resume: bool, overwrite: bool
) -> What:
    """Make the store, or go on with it; with the chunks and the engine that it has.

    Raises
    ------
    OptionError
    """
    if resume and overwrite:
        raise OptionError("resume and overwrite exclude each other: go on, or begin anew.")
    older = store.order if store.is_taken else None
    if not store.is_taken or (overwrite and store.about_is_ours):
        store.create(task.order, task.layout, task.variables, notes(task))
        return task
    if overwrite:
        raise OptionError(
            f"{store.path!r} is no store of results, so it is not written over. Give another name."
        )
    if not resume:
        raise OptionError(
            f"{store.path!r} is there already. Give resume=True (--resume) to go on with it, "
            "overwrite=True (--overwrite) to begin anew, or another name."
        )
    if older is None:
        if not store.about_is_ours:
            raise OptionError(f"{store.path!r} is no store of results. Give another name.")
        store.create(task.order, task.layout, task.variables, notes(task))
        return task
    return _resumed(store, task, older, chunk, engine)


def _resumed(store: Store, task: What, older: Order, chunk: int | None, engine: str) -> What:
    """Go on with what was begun, if it is the same."""
    own = dict(vars(task.order))
    own["chunk"] = older.chunk if chunk is None else own["chunk"]
    own["engine"] = older.engine if engine == "auto" else own["engine"]
    order = type(task.order)(**own)
    if changed := order.changed(older):
        raise OptionError(
            f"{store.path!r} was begun with other {', '.join(_shown(changed, order, older))}. "
            "Resume with what it was begun with, or give overwrite=True (--overwrite)."
        )
    return replace(task, order=order, layout=store.layout)


def _shown(changed: Sequence[str], order: Any, older: Any) -> list[str]:
    """Name what differs; digests say nothing to people."""
    found = []
    for name in changed:
        if name in ("model", "data"):
            was, now = getattr(older, name)[:12], getattr(order, name)[:12]
            found.append(f"{name} (sha256 {was}, now {now})")
        elif name == "options":
            mine, its = dict(order.options), dict(older.options)
            keys = [key for key in sorted({*mine, *its}) if mine.get(key) != its.get(key)]
            found += [f"{key} ({its.get(key)!r}, now {mine.get(key)!r})" for key in keys]
        else:
            found.append(f"{name} ({getattr(older, name)!r}, now {getattr(order, name)!r})")
    return found


def notes(task: Chunked) -> dict[str, Any]:
    """Return attributes of the store, and of some of its arrays."""
    lin, shapes = task.lin, {}
    for name in lin.section.inputs:
        kind = lin.graph.inputs.get(name)
        shapes[name] = None if kind is None or kind.shape is None else [str(n) for n in kind.shape]
    whole = {
        "title": "Maps F(x) = W x + b of a data set, one at each sample",
        "model_sha256": task.order.model,
        "data_sha256": task.order.data,
        "mode": lin.mode,
        "rounding": lin.rounding,
        "gates": lin.gates.as_told,
        "inputs": shapes,
        "outputs": list(lin.section.outputs),
        "engine": task.layout.engine,
        "versions": {"onnxlin": __version__, "onnxruntime": VERSION, "numpy": np.__version__},
        "notes": [*lin.section.notes_in(lin.mode), *task.source.notes],
    }
    nodes = list(task.layout.nodes)
    own = {"ledger": "nodes", "margins": "parts", "introduced": "tensors"}
    return {"run": whole, **{array: {what: nodes} for array, what in own.items()}}
