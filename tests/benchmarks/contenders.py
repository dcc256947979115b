"""Everything that computes rows of W, and the floor.

A contender is made once for a network and a number of rows; what it returns is called again and
again and gives W as a float32 array (K, n_in), its forward pass included each time. For a batch
of N instances it gives (N, K, n_in).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

import onnxlin
from tests.benchmarks.timing import TOLERANCE, DepartureError

Array = np.ndarray[Any, Any]
Job = Callable[[], Array]


class SkippedError(Exception):
    """A contender does not run here; the text says why."""


@dataclass(frozen=True)
class Work:
    """What is asked: the first ``rows`` rows at every instance.

    ``batch`` is 0 for the one instance of the case. ``check`` also holds onnxlin's maps against
    F(x) when they are made.
    """

    case: Any
    rows: int
    batch: int = 0
    threads: int = 2
    check: bool = True

    @property
    def xs(self) -> Array:
        """All instances, stacked on axis 0."""
        return self.case.net.instances(self.batch or 1)

    @property
    def images(self) -> int:
        """Rows in all: as many images does the floor run."""
        return self.rows * (self.batch or 1)


def runtime(path: Any, threads: int) -> onnxruntime.InferenceSession:
    """Open onnxruntime as anybody would, its optimisers on."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def forward(work: Work, images: int = 1) -> Callable[[], Any]:
    """onnxruntime's forward pass over so many images in one call."""
    one = images == 1
    session = runtime(work.case.path if one else work.case.batch_path, work.threads)
    x = work.case.net.instances(images)
    return lambda: session.run(None, {"x": x})


def floor(work: Work) -> Callable[[], Any]:
    """onnxruntime's forward pass over as many images as rows."""
    return forward(work, work.images)


def of_engine(engine: str) -> Callable[[Work], Job]:
    """onnxlin through its public calls; W and b are both the answer."""

    def make(work: Work) -> Job:
        lin = onnxlin.Linearizer(str(work.case.path))

        def one() -> Array:
            return both(lin(work.case.x, rows=range(work.rows), engine=engine))

        def many() -> Array:
            maps = lin.map(work.xs, rows=range(work.rows), engine=engine)
            return np.stack([both(m) for m in maps])

        try:
            m = lin(work.case.x, rows=range(work.rows), engine=engine)
        except onnxlin.OnnxlinError as error:
            raise SkippedError(f"{type(error).__name__}: {error}") from error
        if work.check:
            check_residual(m, thoroughly=work.rows == 1)
        return many if work.batch else one

    return make


def both(m: onnxlin.AffineMap) -> Array:
    """Compute W and b; return W."""
    found: Array = m.W
    if m.b.shape != found.shape[:1]:
        raise DepartureError(f"b has the shape {m.b.shape}")
    return found


def check_residual(m: onnxlin.AffineMap, thoroughly: bool) -> None:
    """Hold W x + b against F(x); where that costs little, against the derived bound."""
    worst = float(m.residual.max())
    if not worst <= TOLERANCE:
        raise DepartureError(f"misses F(x): residual {worst:.2g}")
    if thoroughly:
        try:
            m.verify()
        except onnxlin.ResidualError as error:
            raise DepartureError(f"does not verify: {error}") from error


ENGINES = ("compiled", "auto", "reverse")
ONNXLIN = {f"onnxlin {engine}": of_engine(engine) for engine in ENGINES}
