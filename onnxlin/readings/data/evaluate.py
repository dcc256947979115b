"""Is W enough? Over a data set: what W x or b alone decides, and what makes up the margins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.engines.forward import push
from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.readings.data.floor import verified
from onnxlin.section.feeds import Instance, instances
from onnxlin.section.numbers import as_array

Progress = Callable[[int, int], None]
PARTS = ("all", "W x", "b")
# Entries of W beyond which only the margin's row is formed, beside one tangent sweep for W x.
LARGE = 2**21


@dataclass(frozen=True, eq=False)
class Evaluation:
    """N instances with C classes each: ``y = Wx + b``, and what the margins are made of.

    Parameters
    ----------
    y, Wx, b : array (N, C)
        F(x) as onnxruntime computed it, W x, and b.
    labels : integer array (N,) or None
        The true classes, where given.
    margins : {part: array (N,)}
        F of the target less that of its rival: "W x", then the share of every node's bias, summing
        to ``margin``.
    residual : array (N,)
        Largest residual of each instance; every one is within its bound.
    """

    y: Array
    Wx: Array
    b: Array
    labels: Array | None
    margins: dict[str, Array]
    residual: Array

    def __len__(self) -> int:
        return len(self.y)

    @property
    def target(self) -> Array:
        """The class that counts as right, ``(N,)``: the label, or else what the model says."""
        return target_of(self.y, self.labels)

    @property
    def rival(self) -> Array:
        """The strongest class beside the target, ``(N,)``."""
        return rival_of(self.y, self.target)

    @property
    def margin(self) -> Array:
        """F of the target less that of its rival, ``(N,)``; negative where the model is wrong."""
        at = np.arange(len(self))
        found: Array = self.y[at, self.target] - self.y[at, self.rival]
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
    def owned(self) -> dict[str, float]:
        """Share of the mean margin that W x and each node's bias own: fractions that sum to 1.

        Negative where a part lowers the margin on average. NaN where the mean margin is 0.
        """
        whole = float(self.margin.mean()) if len(self) else 0.0
        return {
            name: float(part.mean()) / whole if whole else float("nan")
            for name, part in self.margins.items()
        }


def target_of(y: Array, labels: Array | None) -> Array:
    """Class that counts as right."""
    found: Array = y.argmax(axis=-1) if labels is None else labels
    return found


def rival_of(y: Array, target: Array) -> Array:
    """Strongest class beside the target."""
    others = y.astype(np.float64)
    others[np.arange(len(y)), target] = -np.inf
    found: Array = others.argmax(axis=1)
    return found


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
        docs/exactness.md. Exact at each x. Where W has more than two million entries it is not
        formed: the margin's row is held against the run, and W x of the classes is one tangent
        sweep.

    Raises
    ------
    InputError
        The labels do not fit, or there are fewer than two classes.
    ResidualError

    Source: the table of Wang, Zhou, Bilmes, Bias Also Matters, ICML 2019: test all, only wx, only
    b.
    """
    count = len(instances(xs, lin.graph.inputs, lin.graph.features))
    known = None if labels is None else class_indices(labels, count)
    return evaluated(lin.steady(count), xs, known, engine, progress=progress)


def evaluated(
    lin: Linearizer,
    xs: Instance,
    labels: Array | None,
    engine: str,
    *,
    large: bool | None = None,
    floors: dict[str, float] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate some instances of a loop that ``lin`` is steady in; see `evaluate`.

    Parameters
    ----------
    large : bool, optional
        What `is_large` has said of the first one of all.
    floors : {engine: float}, optional
        See `verified`.
    """
    given = instances(xs, lin.graph.inputs, lin.graph.features)
    if large is None:
        large = bool(given) and is_large(lin, given[0])
    labelled = [None] * len(given) if labels is None else list(labels[:, None])
    maps = (
        (_margin_alone(lin, x, label, engine) for x, label in zip(given, labelled, strict=True))
        if large
        else lin.map(xs, engine=engine)
    )
    found: list[Found] = []
    for m in verified(maps, floors):
        found.append(_of_margin(m) if large else _of_one(m, labelled[len(found)]))
        if progress is not None:
            progress(len(found), len(given))
    return _stacked(found, labels)


@dataclass(frozen=True, eq=False)
class Found:
    """What is kept of one map."""

    y: Array
    Wx: Array
    b: Array
    margin: dict[str, float]
    residual: float


def _of_one(m: AffineMap, label: Array | None) -> Found:
    """Read a map of all rows."""
    a, b = _pair(m.y, label)
    shares = {name: float(share[a] - share[b]) for name, share in m.bias_by_node.items()}
    margin = {"W x": float(m.Wx[a] - m.Wx[b]), **shares}
    return Found(m.y, m.Wx, m.b, margin, float(m.residual.max()))


def is_large(lin: Linearizer, x: Instance) -> bool:
    """Whether all rows of W are too much for one instance."""
    if isinstance(x, Mapping):
        columns = sum(np.size(value) for name, value in x.items() if name in lin.section.inputs)
    else:
        columns = np.size(x)
    return columns * sum(value.size for value in lin.run(x).values()) > LARGE


def _margin_alone(lin: Linearizer, x: Instance, label: Array | None, engine: str) -> AffineMap:
    """Linearise the one row that the margin is."""
    y = np.concatenate([value.ravel().astype(np.float64) for value in lin.run(x).values()])
    row = np.zeros((1, len(y)))
    row[0, list(_pair(y, label))] = 1, -1
    return lin(x, row, engine)


def _of_margin(m: AffineMap) -> Found:
    """Read a map of the margin's row; W x of all classes is one tangent sweep of its program."""
    program = m.made_from("evaluate()").program
    Wx = push(program, m.x[None].astype(program.dtype))[0].astype(np.float64)
    y = np.concatenate([value.ravel().astype(np.float64) for value in m.outputs.values()])
    shares = {name: float(share[0]) for name, share in m.bias_by_node.items()}
    b = program.output(program.forward(m.x, program.outputs)) - Wx
    return Found(y, Wx, b, {"W x": float(m.Wx[0]), **shares}, float(m.residual.max()))


def _pair(y: Array, label: Array | None) -> tuple[int, int]:
    """Which class counts as right, and its strongest rival."""
    if y.size < 2 or (label is not None and label[0] >= y.size):
        asked = "" if label is None else f", and label {label[0]} was given"
        raise InputError(
            f"The model has {y.size} outputs here{asked}; evaluating takes two classes or more, "
            "numbered from 0."
        )
    target = target_of(y[None], label)
    return int(target[0]), int(rival_of(y[None], target)[0])


def class_indices(labels: npt.ArrayLike, count: int) -> Array:
    """Check labels: class indices, one for each instance.

    Raises
    ------
    InputError
    """
    found = as_array("labels", labels)
    if found.shape != (count,) or found.dtype.kind not in "iu" or found.min(initial=0) < 0:
        raise InputError(
            f"labels has shape {found.shape} and dtype {found.dtype}; expected {count} class "
            "indices from 0 on, one for each instance."
        )
    return found.astype(np.int64)


def _stacked(found: list[Found], labels: Array | None) -> Evaluation:
    """Put instances together; a node that brings nothing in at some of them has 0 there."""
    sizes = {len(each.y) for each in found}
    if len(sizes) > 1:
        raise InputError(
            f"The instances have {sorted(sizes)} outputs; evaluating needs the same classes for "
            "all of them."
        )
    size = sizes.pop() if sizes else 2
    y, Wx, b = (
        np.array([getattr(each, name) for each in found]).reshape(len(found), size)
        for name in ("y", "Wx", "b")
    )
    names = dict.fromkeys(name for each in found for name in each.margin)
    margins = {name: np.array([each.margin.get(name, 0.0) for each in found]) for name in names}
    return Evaluation(y, Wx, b, labels, margins, np.array([each.residual for each in found]))
