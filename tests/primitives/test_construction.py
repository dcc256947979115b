"""Maps that cannot be are refused when they are made, and the message names the numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp

from onnxlin.primitives import (
    Along,
    Broadcast,
    Conv,
    Crop,
    Diagonal,
    LinearMap,
    MatMul,
    Reshape,
    Select,
    Sum,
    Transpose,
    chain,
    identity,
)

ONE = {"strides": (1,), "dilations": (1,), "begin": (0,), "end": (0,)}

IMPOSSIBLE: list[tuple[Callable[[], LinearMap], str]] = [
    (lambda: Along((2,), (3,), 0, sp.csr_array((2, 2))), r"matrix \(2, 2\) does not fit axis 0"),
    (lambda: Broadcast((2,), (2, 1)), r"\(2,\) does not broadcast to \(2, 1\)"),
    (
        lambda: Conv.of((1, 3, 4), np.ones((1, 2, 1)), **ONE),
        r"3 channels do not fit weight \(1, 2, 1\)",
    ),
    (lambda: Crop((3,), (2,), (2,), (1,)), "2 entries from 2 by 1 do not fit an axis of 3"),
    (lambda: Crop((3,), (1,), (-1,), (1,)), "1 entries from -1 by 1 do not fit an axis of 3"),
    (lambda: Crop((3,), (3,), (1,), (-1,)), "3 entries from 1 by -1 do not fit an axis of 3"),
    (lambda: Diagonal.of((2,), np.ones((2, 2))), r"scale of shape \(2, 2\) does not fit \(2,\)"),
    (lambda: MatMul.of((2, 3), np.ones((2, 3))), r"\(2, 3\) @ \(2, 3\) does not fit"),
    (
        lambda: MatMul.of((2, 3), np.ones((4, 5)), left=True),
        r"\(4, 5\) @ \(2, 3\) does not fit",
    ),
    (lambda: Reshape((2, 3), (5,)), r"cannot reshape \(2, 3\) to \(5,\)"),
    (lambda: Select.of((2,), np.array([0, 2])), r"indices 0\.\.2 outside of -1\.\.1"),
    (lambda: Select.of((2,), np.array([-2])), r"indices -2\.\.-2 outside of -1\.\.1"),
    (lambda: Sum.of(identity((2,)), identity((3,))), "a sum needs maps of the same shapes"),
    (lambda: Transpose.of((2, 3), (0, 0)), r"\(0, 0\) is no permutation of the axes of \(2, 3\)"),
    (lambda: chain(identity((2,)), identity((3,))), r"output \(2,\) does not fit input \(3,\)"),
]


@pytest.mark.parametrize(("make", "message"), IMPOSSIBLE, ids=[m for _, m in IMPOSSIBLE])
def test_impossible_map_is_refused(make: Callable[[], LinearMap], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_crop_along_takes_one_axis() -> None:
    op = Crop.along((2, 5), 1, 1, 3)
    np.testing.assert_array_equal(op.matvec(np.arange(10.0).reshape(1, 2, 5))[0, 0], [1, 2, 3])


def test_a_chain_of_one_is_the_map_itself() -> None:
    op = identity((2,))
    assert chain(op) is op
