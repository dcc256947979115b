"""All attributions that the program itself gives, side by side."""

from __future__ import annotations

from contextlib import suppress
from math import prod

import numpy as np

from onnxlin.engines.job import Progress
from onnxlin.errors import RegionError, ResidualError
from onnxlin.readings.attributions.full import full_grad
from onnxlin.readings.attributions.gradients import (
    SAMPLES,
    Attribution,
    gradient,
    gradient_times_input,
    smooth_grad,
)
from onnxlin.readings.attributions.occlusion import occlusion
from onnxlin.readings.attributions.path import integrated_gradients, sampled_gradients
from onnxlin.readings.question.question import Question, Reference
from onnxlin.readings.region import obstacles

# Units up to which every piece of the way from the baseline is found in about a second.
FEW_UNITS = 512
FEW_PIECES = 2_000
PATCHES = 256


def baselines(
    q: Question,
    *,
    baseline: Reference = "zero",
    samples: int = SAMPLES,
    exact: bool | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Attribution]:
    """Compute gradient, Gradient x Input, Integrated Gradients, SmoothGrad, FullGrad, occlusion.

    Parameters
    ----------
    q : Question
    baseline : see `Question.reference`
        Of Integrated Gradients and of occlusion.
    samples : int
        Gradients of SmoothGrad, and of Integrated Gradients where they are sampled.
    exact : bool, optional
        Whether Integrated Gradients are exact. By default they are where the model is piecewise
        affine and has few units; elsewhere the way may have thousands of pieces.
    seed : int
        Of SmoothGrad.
    progress : callable, optional
        Called with (done, total) of the patches of occlusion, which are 256 or a few more.

    Returns
    -------
    {method: Attribution}
        FullGrad where x is a picture; SmoothGrad where x is not the same number throughout.
    """
    found = [gradient(q), gradient_times_input(q)]
    found.append(_integrated(q, baseline, samples, exact))
    if np.ptp(q.x) > 0:
        found.append(smooth_grad(q, samples=samples, seed=seed))
    if q.geometry is not None:
        found.append(full_grad(q))
    found.append(occlusion(q, window(q), baseline=baseline, progress=progress))
    return {each.method: each for each in found}


def _integrated(q: Question, baseline: Reference, samples: int, exact: bool | None) -> Attribution:
    if exact:
        return integrated_gradients(q, baseline)
    if exact is None and _is_cheap(q):
        # A node that no path leads through, or steps without number: nobody insisted.
        with suppress(RegionError, ResidualError):
            return integrated_gradients(q, baseline, pieces=FEW_PIECES)
    return sampled_gradients(q, baseline, samples=samples)


def _is_cheap(q: Question) -> bool:
    """Whether a walk over all pieces takes no time."""
    origin = q.m.made_from("baselines()")
    units = sum(prod(step.shape) for step in origin.program.steps if step.varies)
    return units <= FEW_UNITS and not obstacles(q.m)


def window(q: Question) -> tuple[int, ...] | int:
    """Size of a patch with which about 256 of them cover x."""
    if q.geometry is not None:
        side = int(np.ceil(np.sqrt(q.geometry.height * q.geometry.width / PATCHES)))
        return side, side
    longest = max((shape[-1] for shape in q.m.shapes[0].values() if shape), default=1)
    return max(-(-longest // PATCHES), 1)
