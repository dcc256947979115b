"""A weighted set of models on shared inputs: its map is the weighted sum of their maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxlin.affine_map import AffineMap
from onnxlin.engines.job import Progress, Solution
from onnxlin.errors import OptionError
from onnxlin.graph import Array, TensorType
from onnxlin.graph.subgraphs import prefixed
from onnxlin.graph.weights import filled
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model
from onnxlin.readings.data.weighted import weighted_origin
from onnxlin.section.feeds import Instance, instances, make_feeds
from onnxlin.section.options import number, one_of

LINKS = {"softmax": "Softmax", "sigmoid": "Sigmoid"}


class Ensemble:
    """``F(x) = sum of weights[i] F_i(x)``, to be linearised at any number of inputs.

    ``W = sum of weights[i] W_i`` and ``b = sum of weights[i] b_i``: the map of a sum is the sum of
    the maps. Names of tensors and nodes of member i come after ``i/``.

    Parameters
    ----------
    members : sequence of (weight, model)
        Each model a `Linearizer`, or what `Linearizer` takes. All take the same inputs and have
        outputs of the same shapes; the names are those of the first member.
    probabilities : {None, "softmax", "sigmoid"}
        None adds up the outputs as they are (logits, say). Otherwise each member's output goes
        through this function first, along the last axis. It is smooth, so that the map is exact at
        x alone: ``tangent`` mode takes its Jacobian, ``frozen`` mode holds it or its gate.
    mode, rounding, memory
        As for `Linearizer`, for members that are not linearizers yet.

    Raises
    ------
    OptionError
        The members do not fit together.
    """

    def __init__(
        self,
        members: Sequence[tuple[float, Linearizer | Model]],
        *,
        probabilities: str | None = None,
        mode: str = "tangent",
        rounding: str = "staircase",
        memory: int | str | None = None,
    ) -> None:
        if not members:
            raise OptionError("An ensemble needs at least one member: (weight, model).")
        if probabilities is not None:
            one_of("probabilities", probabilities, list(LINKS))
        self.weights = tuple(number("weight", weight) for weight, _ in members)
        if not np.isfinite(self.weights).all():
            raise OptionError(f"weights={list(self.weights)}; expected finite numbers.")
        make = partial(Linearizer, mode=mode, rounding=rounding, memory=memory)
        given = [m if isinstance(m, Linearizer) else make(m) for _, m in members]
        _require_one_reading(given)
        self._shared = [_shared(given[0], lin, i) for i, lin in enumerate(given)]
        self._inputs = given[0].graph.inputs
        self._held = set(self._inputs) - set(given[0].section.inputs)
        self._outputs = given[0].section.outputs
        _require_free_names([*self._inputs, *self._outputs])
        self._members = [_renamed(lin, i, probabilities) for i, lin in enumerate(given)]

    @property
    def inputs(self) -> Mapping[str, TensorType]:
        """What all members take, by the first one's names."""
        return self._inputs

    def run(self, x: Instance) -> dict[str, Array]:
        """Run all members once: ``{output name: weighted sum}``, float64."""
        feeds = self._feeds(x)
        found = [lin.run(own) for lin, own in zip(self._members, feeds, strict=True)]
        return self._added(found)

    def __call__(
        self,
        x: Instance,
        rows: Any = None,
        engine: str = "auto",
        dtype: npt.DTypeLike | None = None,
        *,
        progress: Progress | None = None,
    ) -> AffineMap:
        """Linearise at x; the arguments are those of a `Linearizer`.

        The map proves itself as any other: `AffineMap.residual` is against the weighted sum of
        what onnxruntime computed for the members.
        """
        feeds = self._feeds(x)
        pairs = zip(self._members, feeds, strict=True)
        maps = [lin(own, rows, engine, dtype, progress=progress) for lin, own in pairs]
        outputs = self._added([m.outputs for m in maps])
        shared = [
            {f"{i}/{own}": name for own, name in names.items()}
            for i, names in enumerate(self._shared)
        ]
        first = maps[0]
        return AffineMap(
            inputs={shared[0][name]: value for name, value in first.inputs.items()},
            outputs=outputs,
            rows=first.rows,
            mode=first.mode,
            rounding=first.rounding,
            engine=first.engine,
            plan=f"{len(maps)} members, each on its own",
            dtype=first.dtype,
            names=first.names,
            origin=partial(weighted_origin, self.weights, maps, shared, outputs),
            own=partial(self._own, maps),
            notes=[f"{i}: {note}" for i, m in enumerate(maps) for note in m.notes],
            solution=self._solution(maps),
        )

    def map(
        self,
        xs: Instance,
        rows: Any = None,
        engine: str = "auto",
        dtype: npt.DTypeLike | None = None,
    ) -> Iterator[AffineMap]:
        """Linearise N instances stacked on axis 0, as `Linearizer.map` does."""
        apart, steady = instances(xs, self._inputs), copy(self)
        steady._members = [lin.steady(len(apart)) for lin in self._members]
        return (steady(x, rows, engine, dtype) for x in apart)

    def _feeds(self, x: Instance) -> list[dict[str, Any]]:
        """Name the inputs as each member does."""
        given = make_feeds(x, self._inputs, self._held)
        return [
            {f"{i}/{own}": given[name] for own, name in names.items()}
            for i, names in enumerate(self._shared)
        ]

    def _own(self, maps: Sequence[AffineMap]) -> dict[str, Array]:
        return self._added([m.own_outputs for m in maps])

    def _added(self, found: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        """Add up the members' outputs, which must have the same shapes."""
        shapes = [[value.shape for value in outputs.values()] for outputs in found]
        wrong = [i for i, own in enumerate(shapes) if own != shapes[0]]
        if wrong:
            raise OptionError(
                f"Member {wrong[0]} has outputs of shapes {shapes[wrong[0]]}, member 0 "
                f"{shapes[0]}. Choose outputs= that agree."
            )
        columns = zip(*(outputs.values() for outputs in found), strict=True)
        return {
            name: sum(
                (w * v.astype(np.float64) for w, v in zip(self.weights, values, strict=True)),
                start=np.zeros(values[0].shape),
            )
            for name, values in zip(self._outputs, columns, strict=True)
        }

    def _solution(self, maps: Sequence[AffineMap]) -> Solution:
        W = np.zeros(maps[0].W.shape)
        bias: dict[str, Array] = {}
        for weight, m in zip(self.weights, maps, strict=True):
            W += weight * m.W.astype(np.float64)
            bias |= {node: weight * share for node, share in m.bias_by_node.items()}
        return Solution(W.astype(maps[0].dtype), bias)


def _require_free_names(names: Sequence[str]) -> None:
    """Raise if an input or output of the whole may have the name of a member's tensor."""
    taken = [name for name in names if "/" in name and name.partition("/")[0].isdecimal()]
    if taken:
        raise OptionError(
            f"Inputs or outputs are named {taken}; names that begin with a number and a slash are "
            "those of members. Rename them in the model."
        )


def _require_one_reading(given: Sequence[Linearizer]) -> None:
    readings = {(lin.mode, lin.rounding) for lin in given}
    if len(readings) > 1:
        raise OptionError(
            f"The members have several readings (mode, rounding): {sorted(readings)}. Give all "
            "Linearizers the same."
        )


def _shared(first: Linearizer, lin: Linearizer, i: int) -> dict[str, str]:
    """Pair the inputs of member i with those of the first: by name, or one with one."""
    ours, theirs = lin.graph.inputs, first.graph.inputs
    single = len(ours) == len(theirs) == 1
    names = dict(zip(ours, theirs if single else ours, strict=True))
    kinds = [{names[n]: (k.dtype, n in s.section.inputs) for n, k in s.graph.inputs.items()}
             for s, names in ((first, {n: n for n in theirs}), (lin, names))]  # fmt: skip
    inner = [name for name in lin.section.inputs if name not in ours]
    if inner or kinds[0] != kinds[1]:
        raise OptionError(
            f"Member {i} does not share the inputs of member 0: it takes {_listed(lin)}, member 0 "
            f"{_listed(first)}. Names, element types and what is linearised must be the same."
        )
    return names


def _listed(lin: Linearizer) -> str:
    kinds = ", ".join(f"{name!r}: {kind}" for name, kind in lin.graph.inputs.items())
    return f"{{{kinds}}} and is linearised in {list(lin.section.inputs)}"


def _renamed(lin: Linearizer, i: int, probabilities: str | None) -> Linearizer:
    """Return the same with every name after ``i/``, and with the link function at its end."""
    prefix = f"{i}/"
    model = prefixed(filled(lin.graph.model, lin.graph.initialisers), prefix)
    for node in model.graph.node:
        node.name = prefix + node.name
    inputs, outputs = (
        [prefix + n for n in names] for names in (lin.section.inputs, lin.section.outputs)
    )
    if probabilities is not None:
        outputs = [_linked(model, name, LINKS[probabilities]) for name in outputs]
    return Linearizer(
        model,
        inputs=inputs,
        outputs=outputs,
        mode=lin.mode,
        rounding=lin.rounding,
        gates=lin.gates.beside(prefix),
        memory=lin.memory,
        providers=lin.providers,
    )


def _linked(model: onnx.ModelProto, name: str, op_type: str) -> str:
    """Append a function of a tensor to a model."""
    made = f"{name}/{op_type}"
    node = onnx.helper.make_node(op_type, [name], [made], made)
    if op_type == "Softmax":
        node.attribute.append(onnx.helper.make_attribute("axis", -1))
    model.graph.node.append(node)
    model.graph.output.append(onnx.ValueInfoProto(name=made))
    return made
