"""One worker's part of a machine: the threads that it may use, for whatever it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from onnxlin.engines.live.gemm import threads_of_blas
from onnxlin.runtime.share import sharing


@contextmanager
def confined(threads: int) -> Iterator[None]:
    """Have what a ``with`` block opens and computes use so many threads: onnxruntime and BLAS.

    How sums are cut up among threads shows in their last bits, so it is part of a run.
    """
    before = [(tell, ask()) for ask, tell in threads_of_blas()]
    try:
        for tell, _ in before:
            tell(threads)
        with sharing(threads):
            yield
    finally:
        for tell, count in before:
            tell(count)
