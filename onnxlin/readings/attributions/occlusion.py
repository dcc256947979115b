"""Occlusion: what F loses when a patch of x is covered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

import numpy as np

from onnxlin.engines.job import Progress
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.primitives import Shape
from onnxlin.readings.attributions.gradients import Attribution
from onnxlin.readings.question.question import Question, Reference, name_of
from onnxlin.section.numbers import as_array

Sizes = int | Sequence[int]


def occlusion(
    q: Question,
    window: Sizes = 1,
    stride: Sizes | None = None,
    *,
    baseline: Reference = "zero",
    progress: Progress | None = None,
) -> Attribution:
    """``F(x) - F(x with a patch at its baseline)``, for a window that slides over x.

    Parameters
    ----------
    q : Question
    window : int or ints
        Size of the patch. Of a picture (height, width), over all channels; else along the last
        axes of the input, over all of those before. A number alone stands for every axis of a
        picture, and for the last axis of other inputs.
    stride : int or ints, optional
        By default the window: patches side by side. The last patch is cut off at the edge.
    baseline : see `Question.reference`
    progress : callable, optional
        Called with (done, total).

    Returns
    -------
    Attribution
        A feature has the loss of its patch; of several patches that cover it, their mean; 0 if none
        does. It promises no sum. The model is run once a patch, many at once where no operator
        mixes instances.

    Raises
    ------
    OptionError

    Source: Zeiler, Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014.
    """
    x0 = q.reference(baseline)
    patches = [*_patches(q, window, stride)]
    found = q.F(_covered(q.x, x0, patches, progress))
    total, times = np.zeros((2, len(q.x)))
    for patch, value in zip(patches, found, strict=True):
        total[patch] += q.y - value
        times[patch] += 1
    values = np.divide(total, times, out=np.zeros_like(total), where=times > 0)
    asked = {"window": window, "stride": stride or window, "baseline": name_of(baseline)}
    return Attribution("occlusion", values, q.name, q.m.shapes[0], asked)


def _covered(
    x: Array, x0: Array, patches: list[Array], progress: Progress | None
) -> Iterator[Array]:
    for i, patch in enumerate(patches):
        changed = x.copy()
        changed[patch] = x0[patch]
        yield changed
        if progress is not None:
            progress(i + 1, len(patches))


def _patches(q: Question, window: Sizes, stride: Sizes | None) -> Iterator[Array]:
    """Columns of every patch."""
    if q.geometry is not None:
        g = q.geometry
        columns = g.to_picture(np.arange(len(q.x)))
        yield from _slide(columns, _sizes(window, 2), _sizes(stride or window, 2))
        return
    for name, at in q.m.columns_of.items():
        shape: Shape = q.m.inputs[name].shape or (1,)
        columns = np.arange(at.start, at.stop).reshape(shape)
        size = _sizes(window, 1)
        if len(size) > len(shape):
            raise OptionError(
                f"window={window} has {len(size)} axes; input {name!r} has the shape {shape}."
            )
        yield from _slide(columns, size, _sizes(stride or window, len(size)))


def _sizes(given: Sizes, axes: int) -> tuple[int, ...]:
    sizes = as_array("window or stride", given)
    found = tuple(sizes.ravel().tolist()) * (1 if sizes.ndim else axes)
    if (
        not found
        or sizes.dtype.kind not in "iu"
        or min(found) < 1
        or (len(found) != axes and axes > 1)
    ):
        raise OptionError(
            f"window or stride {given!r}; expected {axes} positive numbers, or one for all axes."
        )
    return found


def _slide(columns: Array, size: tuple[int, ...], step: tuple[int, ...]) -> Iterator[Array]:
    """Move a window over the last axes of an array."""
    if not prod(columns.shape):
        return
    lengths = columns.shape[columns.ndim - len(size) :]
    starts = [range(0, max(n - s, 0) + t, t) for n, s, t in zip(lengths, size, step, strict=True)]
    for corner in product(*starts):
        box = tuple(slice(a, a + s) for a, s in zip(corner, size, strict=True))
        before = (slice(None),) * (columns.ndim - len(box))
        patch = columns[(*before, *box)].ravel()
        if patch.size:
            yield patch
