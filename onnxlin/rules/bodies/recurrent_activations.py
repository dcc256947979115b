"""The activation functions that recurrent operators name, as nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Writer

# What each function takes of alpha and beta where the lists end. The specification has the defaults
# of the operator of its name; the runtime has 0 for some, which
# tests/rules/bodies/test_recurrent.py holds against it.
ARGUMENTS: dict[str, tuple[str, tuple[float, ...]]] = {
    "affine": ("Affine", (0.0, 0.0)),
    "elu": ("Elu", (1.0,)),
    "hardsigmoid": ("HardSigmoid", (0.2, 0.5)),
    "leakyrelu": ("LeakyRelu", (0.01,)),
    "relu": ("Relu", ()),
    "scaledtanh": ("ScaledTanh", (0.0, 0.0)),
    "sigmoid": ("Sigmoid", ()),
    "softplus": ("Softplus", ()),
    "softsign": ("Softsign", ()),
    "tanh": ("Tanh", ()),
    "thresholdedrelu": ("ThresholdedRelu", (0.0,)),
}


class Activation(NamedTuple):
    """A function with its alpha and beta, as many as it has."""

    name: str
    arguments: tuple[float, ...]

    def write(self, w: Writer, z: str) -> str:
        """Apply it to a tensor."""
        if self.name == "Affine":
            alpha, beta = map(w.floats, self.arguments)
            return w("Add", w("Mul", z, alpha), beta)
        if self.name == "ScaledTanh":
            alpha, beta = map(w.floats, self.arguments)
            return w("Mul", w("Tanh", w("Mul", z, beta)), alpha)
        named = zip(("alpha", "beta"), self.arguments, strict=False)
        return w(self.name, z, **dict(named))


def activations(node: NodeAtX, default: Sequence[str]) -> list[Activation]:
    """Read the functions of all directions, ``default`` those of one direction.

    The lists of alphas and betas hold an entry for each function that takes one, in order.
    """
    directions = node.shape(1)[0]
    names = node.attr("activations") or list(default) * directions
    alphas, betas = (iter(node.attr(f"activation_{a}") or ()) for a in ("alpha", "beta"))
    return [_activation(node, name, alphas, betas) for name in names]


def _activation(
    node: NodeAtX, name: str, alphas: Iterator[float], betas: Iterator[float]
) -> Activation:
    if name.lower() not in ARGUMENTS:
        raise node.refuse(f"the activation {name!r} is none of {sorted(ARGUMENTS)}")
    proper, defaults = ARGUMENTS[name.lower()]
    pairs = zip((alphas, betas), defaults, strict=False)
    return Activation(proper, tuple(next(given, value) for given, value in pairs))
