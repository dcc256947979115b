"""Reading a traced array at some of its positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxlin.lowering.functions import stands_for
from onnxlin.lowering.traced import (
    NotStaticError,
    Traced,
    emitter_of,
    example,
    reshaped,
    tensor,
    wrap,
)


@stands_for(np.take)
def _take(x: Any, index: Any, axis: int | None = None) -> Any:
    graph = emitter_of(x, index)
    value = np.take(example(x), example(index), axis=axis)
    source = tensor(graph, x, np.asarray(example(x)).dtype)
    if axis is None:
        source, axis = graph("Reshape", source, graph.ints([-1])), 0
    name = graph("Gather", source, tensor(graph, index, np.int64), axis=int(axis))
    return wrap(graph, name, value)


@stands_for(np.take_along_axis)
def _take_along_axis(x: Any, index: Any, axis: int) -> Any:
    graph = emitter_of(x, index)
    value = np.take_along_axis(example(x), example(index), axis=axis)
    source = tensor(graph, x, example(x).dtype)
    place = tensor(graph, index, np.int64)
    return wrap(graph, graph("GatherElements", source, place, axis=axis % value.ndim), value)


@stands_for("getitem")
def _getitem(x: Traced, key: Any) -> Any:
    """Slices, whole numbers, new axes, and one array of positions."""
    keys = _full(key if isinstance(key, tuple) else (key,), x.ndim)
    arrays = [i for i, k in enumerate(keys) if isinstance(k, np.ndarray | list | Traced)]
    if not arrays:
        return _sliced(x, keys)
    axis = sum(k is not None for k in keys[: arrays[0]])
    others = [k for i, k in enumerate(keys) if i != arrays[0]]
    if len(arrays) > 1 or any(k != slice(None) for k in others):
        raise NotStaticError("reading at several arrays of positions has no form in a graph")
    index = keys[arrays[0]]
    index = index if isinstance(index, Traced) else np.asarray(index)
    if index.dtype != bool:
        return np.take(x, index, axis=axis)
    if isinstance(index, Traced) or axis or index.shape != x.shape[: index.ndim]:
        raise NotStaticError("the number of entries depends on the values at x")
    places = np.flatnonzero(index)
    return np.take(x.reshape(index.size, *x.shape[index.ndim :]), places, axis=0)


def _full(keys: tuple[Any, ...], ndim: int) -> list[Any]:
    """Spell out the ellipsis and the axes left out."""
    used = sum(
        (k.ndim if isinstance(k, np.ndarray) and k.dtype == bool else 1)
        for k in keys
        if k is not None and k is not Ellipsis
    )
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    rest = keys[at + 1 :] if at < len(keys) else ()
    return [*keys[:at], *[slice(None)] * (ndim - used), *rest]


def _sliced(x: Traced, keys: list[Any]) -> Traced:
    cuts = []
    for n, key in zip(x.shape, (k for k in keys if k is not None), strict=True):
        cuts.append(key if isinstance(key, slice) else slice(int(key) % n, int(key) % n + 1))
    places = [range(n)[cut] for n, cut in zip(x.shape, cuts, strict=True)]
    axes = [
        i for i, (n, place) in enumerate(zip(x.shape, places, strict=True)) if place != range(n)
    ]
    name, ints = x.name, x.emitter.ints
    if axes:
        # An end before entry 0 cannot be said by a position.
        ends = [places[i].stop if places[i].stop >= 0 else -x.shape[i] - 1 for i in axes]
        starts, steps = [places[i].start for i in axes], [places[i].step for i in axes]
        name = x.emitter("Slice", name, ints(starts), ints(ends), ints(axes), ints(steps))
    cut_out = Traced(x.emitter, name, x.example[tuple(cuts)])
    return reshaped(cut_out, x.example[tuple(keys)].shape)
