"""One model at one x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.engines.job import Progress
from onnxlin.linearizer.linearizer import Linearizer, Names
from onnxlin.load import Model, Path
from onnxlin.runtime.providers import Asked
from onnxlin.section import HALVES, STAIRCASE
from onnxlin.section.feeds import Instance
from onnxlin.section.gates import Choice


def linearize(
    model: Model,
    x: Instance,
    *,
    inputs: Names = None,
    outputs: Names = None,
    rows: Any = None,
    mode: str = "tangent",
    rounding: str = STAIRCASE,
    gates: Choice = HALVES,
    engine: str = "auto",
    dtype: npt.DTypeLike | None = None,
    memory: int | str | None = None,
    threads: int | None = None,
    providers: Sequence[Asked] | None = None,
    progress: Progress | None = None,
    base_dir: Path | None = None,
    save: Path | None = None,
) -> AffineMap:
    """Return the affine map F(x) = W x + b that a model is at x.

    A model of a framework is exported at x. The other arguments are those of `Linearizer` and of
    its call. For many inputs of one model make a `Linearizer` once.
    """
    ready = Linearizer(
        model,
        inputs=inputs,
        outputs=outputs,
        mode=mode,
        rounding=rounding,
        gates=gates,
        memory=memory,
        threads=threads,
        providers=providers,
        base_dir=base_dir,
        example=x,
    )
    return ready(x, rows, engine, dtype, progress=progress, save=save)
