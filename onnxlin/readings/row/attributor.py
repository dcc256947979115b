"""Maps behind the interfaces of Captum and of the shap package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.errors import InputError, RowsError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model
from onnxlin.readings.row.contributions import flat_baseline
from onnxlin.readings.row.shap import explanation
from onnxlin.section.frames import unframed

if TYPE_CHECKING:
    import shap


class Attributor:
    """``attribute(inputs, target=...)`` with the signature and the shapes of Captum's methods.

    Parameters
    ----------
    model : Linearizer, or what `Linearizer` takes
    options
        For the `Linearizer`.

    Source: Captum, ``captum.attr.InputXGradient`` and ``IntegratedGradients``.
    """

    def __init__(self, model: Linearizer | Model, **options: Any) -> None:
        self.lin = model if isinstance(model, Linearizer) else Linearizer(model, **options)

    def attribute(
        self,
        inputs: Any,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
    ) -> Any:
        """Return ``W * x``, or ``W * (x - x0)``, of one output of each sample.

        Parameters
        ----------
        inputs : array or tensor (N, ...), or a tuple of such
            One for each input that is linearised, in the order of the map's.
        baselines : likewise, or a number; optional
            x0 of every sample, or one (1, ...) for all; by default 0.
        target : int, tuple of int, or a sequence of N of either
            The output's index without the batch axis. May be left out where there is but one.
        additional_forward_args : like ``inputs``, optional
            The model's other inputs, in the graph's order.
        return_convergence_delta : bool
            Also return ``sum of attributions - (F(x) - F(x0))``, ``(N,)``: what the map of x does
            not know about the model at x0.

        Returns
        -------
        Of the type and shape of ``inputs``; in a tuple where these are one.

        Raises
        ------
        InputError, RowsError
        """
        lin, tupled = self.lin, isinstance(inputs, tuple)
        names = lin.section.inputs
        others = [name for name in lin.graph.inputs if name not in names]
        given = _named("inputs", inputs, names)
        stacks = {n: _array(v) for n, v in given.items()}
        beside = () if additional_forward_args is None else additional_forward_args
        held = {n: _array(v) for n, v in _named("additional_forward_args", beside, others).items()}
        count = len(next(iter(stacks.values())))
        maps = list(self._maps({**stacks, **held}, target, count))
        starts = [_start(baselines, names, i, count) for i in range(count)]
        bases = [flat_baseline(m, x0) for m, x0 in zip(maps, starts, strict=True)]
        parts = [m.W[0].astype(np.float64) * (m.x - x0) for m, x0 in zip(maps, bases, strict=True)]
        found = tuple(
            _like(given[n], np.stack([p[maps[0].columns_of[n]] for p in parts]), stacks[n].shape)
            for n in names
        )
        answer = found if tupled else found[0]
        if not return_convergence_delta:
            return answer
        at = [self._at(m, x0, held, i) for i, (m, x0) in enumerate(zip(maps, bases, strict=True))]
        sums = [p.sum() - (m.y[0] - y0) for p, m, y0 in zip(parts, maps, at, strict=True)]
        return answer, _like(given[names[0]], np.array(sums), (count,))

    def _maps(self, stacks: dict[str, Array], target: Any, count: int) -> Iterable[AffineMap]:
        """One map of one row for each sample."""
        first = {n: stack[:1] for n, stack in stacks.items()}
        one = next(iter(self.lin.map(first, rows=[])))
        shapes = [value.shape[1:] for value in one.outputs.values()]
        size = sum(int(np.prod(shape)) for shape in shapes)
        several = isinstance(target, list) or getattr(target, "ndim", 0) == 1
        listed = list(target) if several else [target] * count
        if len(listed) != count:
            raise RowsError(f"target names {len(listed)} outputs for {count} samples.")
        each = [_index(t, shapes, size) for t in listed]
        return self.lin.map(stacks, each=each)

    def _at(self, m: AffineMap, x0: Array, held: dict[str, Array], i: int) -> float:
        """F(x0), of the row of a map."""
        feeds = {n: x0[at].reshape(m.inputs[n].shape) for n, at in m.columns_of.items()}
        outputs = self.lin.run({**feeds, **{n: v[i : i + 1] for n, v in held.items()}})
        flat = np.concatenate([v.ravel().astype(np.float64) for v in outputs.values()])
        return float(m.rows.apply(flat)[0])


class Explainer:
    """``explainer(X)`` returns a `shap.Explanation`, as an explainer of the shap package does.

    Its values are no Shapley values: they are ``W * (x - x0)``, what the map at each x itself says.

    Parameters
    ----------
    model : Linearizer, or what `Linearizer` takes
    background : array (N, ...) or frame, optional
        Its mean is x0; by default zero.
    feature_names, output_names : sequence of str, optional
        By default those of the model's metadata, or made of input and place.
    options
        For the `Linearizer`.
    """

    def __init__(
        self,
        model: Linearizer | Model,
        background: Any = None,
        *,
        feature_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        self.lin = model if isinstance(model, Linearizer) else Linearizer(model, **options)
        self.feature_names, self.output_names = feature_names, output_names
        stack = None if background is None else self._plain(background)
        self.baseline = None if stack is None else np.asarray(stack, np.float64).mean(axis=0)

    def __call__(self, X: Any) -> shap.Explanation:
        """Explain samples stacked on axis 0, or the rows of a frame.

        Raises
        ------
        OnnxlinError
            The shap package is not installed.
        InputError, ResidualError
        """
        maps = list(self.lin.map(X))
        if not maps:
            raise InputError("X holds no samples. Stack them on axis 0.")
        names = self.feature_names or maps[0].features
        return explanation(
            maps, self.baseline, names=names, labels=self.output_names or maps[0].row_names
        )

    def shap_values(self, X: Any) -> Array:
        """Return the values alone, ``(N, n_in, K)``; the axis of outputs is left out if K = 1."""
        found: Array = self(X).values
        return found

    def _plain(self, X: Any) -> Any:
        return unframed(X, self.lin.graph.inputs, self.lin.graph.features)


def _named(what: str, values: Any, names: Sequence[str]) -> dict[str, Any]:
    listed = values if isinstance(values, tuple) else (values,)
    if len(listed) != len(names):
        raise InputError(f"{what} has {len(listed)} arrays; expected one for each of {[*names]}.")
    return dict(zip(names, listed, strict=True))


def _array(value: Any) -> Array:
    """An array; a tensor of torch without its history."""
    found: Array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    return found


def _like(given: Any, values: Array, shape: tuple[int, ...]) -> Any:
    """An array of a shape, or a tensor where one was given."""
    shaped = values.reshape(shape)
    return given.new_tensor(shaped) if hasattr(given, "new_tensor") else shaped


def _start(baselines: Any, names: Sequence[str], i: int, count: int) -> Any:
    """x0 of a sample."""
    if baselines is None or np.isscalar(baselines):
        return baselines or 0.0
    found = {n: _array(v) for n, v in _named("baselines", baselines, names).items()}
    wrong = [n for n, v in found.items() if v.ndim and len(v) not in (1, count)]
    if wrong:
        raise InputError(f"baselines of {wrong} are for another number of samples than {count}.")
    return {n: v[min(i, len(v) - 1)] if v.ndim else v for n, v in found.items()}


def _index(target: Any, shapes: Sequence[tuple[int, ...]], size: int) -> int:
    """Flat index of an output among all."""
    if target is None:
        if size != 1:
            raise RowsError(f"The model has {size} outputs a sample: say which, target=.")
        return 0
    if isinstance(target, tuple):
        if len(shapes) != 1 or len(target) != len(shapes[0]):
            raise RowsError(f"target={target}: the outputs have the shapes {list(shapes)}.")
        try:
            return int(np.ravel_multi_index(target, shapes[0]))
        except ValueError as error:
            raise RowsError(f"target={target}: the output has the shape {shapes[0]}.") from error
    return int(target)
