"""Where b comes from: shares of nodes, of kinds of nodes, and of every unit of a node."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap, Origin
from onnxlin.engines.job import Job
from onnxlin.engines.reverse import chunks, constant_shares, sweep
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import DetachedError, OptionError
from onnxlin.graph import Array
from onnxlin.program import Known, Step, finite
from onnxlin.program.rates import gamma
from onnxlin.readings.bias.kinds import KINDS, Kind, kinds_of
from onnxlin.readings.checks import UNIT, chosen, of_outputs, require_f, row_names


@dataclass(frozen=True, eq=False)
class Ledger:
    """``shares.sum(axis=0) = b``, row by row.

    Parameters
    ----------
    nodes : tuple of str (n)
        Names of the nodes that bring in a bias; constant outputs under their own names.
    shares : array (n, K)
        Signed.
    b : array (K,)
    rows : tuple of str (K)
    kind_of : callable
        Makes ``{node name: kind}``; the sums alone do without.
    """

    nodes: tuple[str, ...]
    shares: Array
    b: Array
    rows: tuple[str, ...]
    kind_of: Callable[[], Mapping[str, Kind]] = field(repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle with the kinds found, and not the model to find them by."""
        kind_of = self.kind_of
        with contextlib.suppress(DetachedError):
            kind_of = Known(kind_of())
        return {**vars(self), "kind_of": kind_of}

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """Kind of each node, see `onnxlin.readings.bias.kinds.MEANING`; needs the linear program.

        Raises
        ------
        DetachedError
            The map was loaded from a file.
        """
        found = self.kind_of()
        return tuple(found.get(node, "constant") for node in self.nodes)

    @property
    def by_node(self) -> dict[str, Array]:
        """``{node name: (K,)}``."""
        return dict(zip(self.nodes, self.shares, strict=True))

    @property
    def by_kind(self) -> dict[Kind, Array]:
        """``{kind: (K,)}``, the kinds that occur, in a fixed order."""
        found = {}
        for kind in KINDS:
            of_kind = [i for i, other in enumerate(self.kinds) if other == kind]
            if of_kind:
                found[kind] = self.shares[of_kind].sum(axis=0)
        return found


def _kinds(m: AffineMap) -> Mapping[str, Kind]:
    return kinds_of(m.made_from("the kinds of a ledger").program)


def ledger(m: AffineMap, rows: Any = None) -> Ledger:
    """Split b over the nodes that bring it in.

    Parameters
    ----------
    m : AffineMap
    rows : positions (K,) or combinations (K, rows of m), optional
        Of the rows of m; by default all of them.

    Returns
    -------
    Ledger
        Exact at x, in the reading of the map: what is a "tangent intercept" in tangent mode may
        be nothing at all in frozen mode.

    Raises
    ------
    RowsError, ResidualError
        The shares miss ``F(x) - W x`` by more than the map's own bound.

    Source: Srinivas and Fleuret, Full-Gradient Representation, NeurIPS 2019, for one node's share.
    """
    seeds = chosen(m, rows)
    by_node = {node: seeds.apply(share) for node, share in m.bias_by_node.items()}
    shares = np.array(list(by_node.values())).reshape(len(by_node), len(seeds))
    found = Ledger(
        tuple(by_node),
        shares,
        seeds.apply(m.b),
        row_names(m, seeds),
        partial(_kinds, m),
    )
    total = seeds.apply(m.Wx) + found.shares.sum(axis=0)
    require_f("W x + shares of b", m, seeds, total)
    return found


@dataclass(frozen=True, eq=False)
class BiasMap:
    """What every unit of one node's output brings to b.

    Parameters
    ----------
    node, tensor : str
        The node, and the output of it that the bias is added to.
    kind : str
    values : array (K, *shape of the tensor)
        Signed: the cotangent times the bias.
    """

    node: str
    tensor: str
    kind: Kind
    values: Array

    @property
    def total(self) -> Array:
        """The share of b, ``(K,)``."""
        found: Array = self.values.reshape(len(self.values), -1).sum(axis=1)
        return found


def bias_maps(
    m: AffineMap, rows: Any = None, nodes: Sequence[str] | str | None = None
) -> list[BiasMap]:
    """Split b over every unit: one map for each node that brings in a bias, inputs first.

    Parameters
    ----------
    m : AffineMap
    rows : positions (K,) or combinations (K, rows of m), optional
    nodes : node name or names, optional
        Those to keep; by default all. One adjoint sweep serves any number of them.

    Returns
    -------
    list of BiasMap
        Their totals are the shares of `ledger`. Exact at x.

    Raises
    ------
    OptionError
        A node has no bias at this x.
    DetachedError, ResidualError

    Source: the bias gradients of Srinivas and Fleuret, Full-Gradient Representation, NeurIPS
    2019, section 3, without their absolute values and rescaling.
    """
    origin = m.made_from("bias_maps()")
    kinds = kinds_of(origin.program)
    wanted = _wanted(nodes, kinds)
    seeds = chosen(m, rows)
    kept: dict[str, list[Array]] = {}
    Wx, shares, sizes = np.zeros((3, len(seeds)))
    for part, W, weighed in _sweeps(origin, of_outputs(m, seeds)):
        for step, values in weighed:
            flat = values.reshape(len(values), -1)
            shares[part] += flat.sum(axis=1)
            sizes[part] += np.abs(flat).sum(axis=1)
            if step.node.name in wanted:
                kept.setdefault(step.output, []).append(values)
        Wx[part] = W.astype(np.float64) @ m.x
    constants = constant_shares(origin.program, of_outputs(m, seeds), slice(None))
    total = Wx + shares + sum(constants.values(), start=np.zeros(len(seeds)))
    summing = gamma(_units(origin), UNIT) * sizes
    require_f("W x + bias maps", m, seeds, total, beside=summing)
    return [
        BiasMap(s.node.name, s.output, kinds[s.node.name], np.concatenate(kept[s.output]))
        for s in origin.program.steps
        if s.output in kept
    ]


Chunk = tuple[slice, Array, Iterator[tuple[Step, Array]]]


def _sweeps(origin: Origin, outputs: Seeds) -> Iterator[Chunk]:
    """Sweep chunks of rows: the rows, their W once the sweep is over, and each weighed bias."""
    job = Job(origin.program, outputs, origin.job.memory)
    for part in chunks(job):
        W = np.zeros((part.stop - part.start, origin.program.columns), origin.program.dtype)
        steps = sweep(origin.program, outputs, part, W)
        yield part, W, ((s, weighed(s, g)) for s, g in steps if s.bias is not None)


def _units(origin: Origin) -> int:
    return sum(prod(step.shape) for step in origin.program.steps if step.bias is not None)


def _wanted(nodes: Sequence[str] | str | None, kinds: dict[str, Kind]) -> set[str]:
    given = nodes if isinstance(nodes, Sequence) and not isinstance(nodes, str) else [nodes]
    names = list(kinds) if nodes is None else [str(name) for name in given]
    unknown = [name for name in names if name not in kinds]
    if unknown:
        raise OptionError(
            f"Nodes {unknown} bring in no bias at this x. Those that do: {list(kinds)[:20]}."
        )
    return set(names)


def weighed(step: Step, cotangent: Array) -> Array:
    """Cotangent times bias in float64; where the cotangent is 0, padding with -inf brings 0."""
    assert step.bias is not None
    bias = np.broadcast_to(step.bias.astype(np.float64), step.shape)
    if np.isfinite(bias).all():
        return cotangent * bias
    found: Array = np.where(cotangent == 0, 0.0, cotangent * finite(bias))
    return found
