"""Is W enough? Over a data set: what W x alone decides, what b alone, and who owns the margins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.errors import InputError
from onnxlin.feeds import Instance, instances
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.program import Step
from onnxlin.readings.identity import allowed, chosen, require_equal
from onnxlin.rounding import gamma, unit_roundoff

Progress = Callable[[int, int], None]
PARTS = ("all", "W x", "b")
PRODUCTS = ("Gemm", "MatMul")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """N instances with C classes each: ``y = Wx + b``, and ``b = sum of by_node``.

    Parameters
    ----------
    y, Wx : array (N, C)
        F(x) as onnxruntime computed it, and W x.
    by_node : {node name: array (N, C)}
        Shares of b.
    labels : integer array (N,) or None
        The true classes, where given.
    """

    y: Array
    Wx: Array
    by_node: dict[str, Array]
    labels: Array | None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def b(self) -> Array:
        """``(N, C)``."""
        return sum(self.by_node.values(), start=np.zeros(self.y.shape))

    @property
    def target(self) -> Array:
        """The class that counts as right, ``(N,)``: the label, or else what the model says."""
        found: Array = self.y.argmax(axis=1) if self.labels is None else self.labels
        return found

    @property
    def accuracy(self) -> dict[str, float]:
        """Share of the instances whose largest entry is the target's: of F(x), of W x, of b.

        Without labels it is the agreement with the model, which is 1 for F(x) itself. Equal
        largest entries go to the first class, as argmax does.
        """
        parts = zip(PARTS, (self.y, self.Wx, self.b), strict=True)
        return {name: self._share(part) for name, part in parts}

    def _share(self, values: Array) -> float:
        return float((values.argmax(axis=1) == self.target).mean()) if len(self) else float("nan")

    @property
    def rival(self) -> Array:
        """The strongest class beside the target, ``(N,)``."""
        others = self.y.astype(np.float64)
        others[np.arange(len(self)), self.target] = -np.inf
        found: Array = others.argmax(axis=1)
        return found

    @property
    def margins(self) -> dict[str, Array]:
        """``F`` of the target less that of its rival, (N,), and its parts: W x, then every node.

        ``margins["all"]`` is the sum of all others, up to rounding.
        """
        parts = {"all": self.y, "W x": self.Wx, **self.by_node}
        return {name: self._margin(values) for name, values in parts.items()}

    def _margin(self, values: Array) -> Array:
        at = np.arange(len(self))
        found: Array = values[at, self.target] - values[at, self.rival]
        return found

    @property
    def owned(self) -> dict[str, float]:
        """Share of the mean margin that W x and each node's bias own: fractions that sum to 1.

        Negative where a part works against the target on average. NaN where the mean margin is 0.
        """
        margins = self.margins
        whole = float(margins.pop("all").mean()) if len(self) else 0.0
        return {
            name: float(part.mean()) / whole if whole else float("nan")
            for name, part in margins.items()
        }


def evaluate(
    lin: Linearizer,
    xs: Instance,
    labels: npt.ArrayLike | None = None,
    *,
    engine: str = "auto",
    progress: Progress | None = None,
) -> Evaluation:
    """Linearise every instance of a data set; say what W x alone and b alone would decide.

    Parameters
    ----------
    lin : Linearizer
        Of a model whose outputs are the scores of the classes: logits, before any softmax
        (``outputs="logits"``).
    xs : array (N, ...) or {input name: array (N, ...)}
        Instances as `Linearizer.map` takes them.
    labels : integers (N,), optional
        Without them the model's own answer counts as right.
    engine : str
    progress : callable, optional
        Called with (done, total).

    Returns
    -------
    Evaluation
        Every instance has been held against the run: its W x + b equals F(x) within the bound of
        docs/exactness.md. Exact at each x.

    Raises
    ------
    InputError
        The labels do not fit, or there is only one class.
    ResidualError

    Source: the table of Wang, Zhou, Bilmes, Bias Also Matters, ICML 2019: test all, only wx, only
    b.
    """
    count = len(instances(xs, lin.graph.inputs))
    known = None if labels is None else _labels(labels, count)
    found: list[tuple[Array, Array, dict[str, Array]]] = []
    for m in _verified(lin.map(xs, engine=engine)):
        found.append((m.y, m.Wx, dict(m.bias_by_node)))
        if progress is not None:
            progress(len(found), count)
    evaluation = _stacked(found, known)
    if known is not None and len(evaluation) and known.max(initial=0) >= evaluation.y.shape[1]:
        raise InputError(
            f"Label {known.max()} is no class: the model has {evaluation.y.shape[1]} outputs, "
            f"0 to {evaluation.y.shape[1] - 1}."
        )
    return evaluation


def _labels(labels: npt.ArrayLike, count: int) -> Array:
    found = np.asarray(labels)
    if found.shape != (count,) or found.dtype.kind not in "iu" or found.min(initial=0) < 0:
        raise InputError(
            f"labels has shape {found.shape} and dtype {found.dtype}; expected {count} class "
            "indices from 0 on, one for each instance."
        )
    return found.astype(np.int64)


def _stacked(
    found: list[tuple[Array, Array, dict[str, Array]]], labels: Array | None
) -> Evaluation:
    """Put instances together; a node that brings nothing in at some of them has 0 there."""
    sizes = {len(y) for y, _, _ in found}
    if len(sizes) > 1 or min(sizes, default=2) < 2:
        raise InputError(
            f"The instances have {sorted(sizes)} outputs; evaluating needs the same number of "
            "classes for all of them, two or more."
        )
    nodes = dict.fromkeys(name for _, _, shares in found for name in shares)
    empty = np.zeros((0, 2))
    y, Wx = (np.array([each[i] for each in found]) if found else empty for i in (0, 1))
    zero = np.zeros(y.shape[1])
    by_node = {n: np.array([shares.get(n, zero) for _, _, shares in found]) for n in nodes}
    return Evaluation(y, Wx, by_node, labels)


def _verified(maps: Iterator[AffineMap]) -> Iterator[AffineMap]:
    """Pass maps on whose residual is within its bound; raise at the first that is past it.

    The bound itself takes another sweep. A floor of it costs nothing: the size of every path into
    a row is charged the roundings of at least one step, so ``bound >= least * (1 - TINY / scale)``.
    Only residuals past that floor need the bound as it is.
    """
    floor: float | None = None
    for m in maps:
        if floor is None:
            floor = _least_charge(m)
        gap = np.abs(m.y - (m.Wx + m.b))
        if not (gap <= floor * m.scale).all():
            rows = chosen(m, None)
            require_equal("W x + b against F(x)", m.Wx + m.b, m.y, allowed(m, rows))
        yield m


def _least_charge(m: AffineMap) -> float:
    """The smallest factor that a step which reads an input, or has a bias, is charged with.

    Such a step i is charged ``|G_i| factor_i (|A_i| |z_i| + |b_i|)`` (docs/exactness.md). Summed
    over these steps alone, ``|G| (|A| |z| + |b|)`` is at least ``|W| |x|`` + the sum of ``|bias
    shares|``, which is the scale. What a step adds up may change with x: then only two roundings
    are counted. In products the shapes decide it.
    """
    program = m._made_from("evaluate()").program
    if program.constants or not program.steps:
        return 0.0
    unit = unit_roundoff(program.dtype)
    ends = [s for s in program.steps if s.bias is not None or _reads(s, program.inputs)]
    # The computed bound is itself rounded, by far less than this.
    return 0.99 * min((gamma(_fewest(step), unit) for step in ends), default=0.0)


def _reads(step: Step, names: Any) -> bool:
    return any(name in names for name, _ in step.terms)


def _fewest(step: Step) -> int:
    fan = max((max(op.fan_in, op.fan_out) for _, op in step.terms), default=1)
    steady = not step.varies or step.node.op_type in PRODUCTS
    return 2 * fan + 2 * step.roundings if steady else 2
