"""A step of the program as matrices that can be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from onnxlin.primitives import Array
from onnxlin.program import Step


@dataclass(frozen=True, eq=False)
class Layer:
    """The affine piece of one node: ``output = sum of terms[tensor] @ tensor + bias``.

    Parameters
    ----------
    step : Step
    dtype : numpy.dtype
    """

    step: Step
    dtype: np.dtype[Any]

    @property
    def name(self) -> str:
        """Name of the node."""
        return self.step.node.name

    @property
    def op_type(self) -> str:
        """Operator of the node."""
        return self.step.node.op_type

    @property
    def status(self) -> str:
        """One of "exact", "tangent", "frozen" and "constant"."""
        return self.step.status

    @property
    def output(self) -> str:
        """Name of the tensor that the piece makes."""
        return self.step.output

    @cached_property
    def terms(self) -> dict[str, sp.csr_array]:
        """Tensor name -> matrix ``(outputs, inputs)``, both flattened in C order."""
        found: dict[str, sp.csr_array] = {}
        for name, op in self.step.terms:
            matrix = op.to_sparse(self.dtype)
            found[name] = sp.csr_array(found[name] + matrix) if name in found else matrix
        return found

    @cached_property
    def bias(self) -> Array:
        """Bias of every output, flattened in C order."""
        bias = np.zeros(()) if self.step.bias is None else self.step.bias
        return np.broadcast_to(bias, self.step.shape).astype(self.dtype).ravel()
