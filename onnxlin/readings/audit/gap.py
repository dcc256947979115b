"""Which nodes' biases make up what an attribution leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from onnxlin.graph import Array

# Chance of a sum that fits by accident beyond which a set of nodes explains nothing.
CHANCE = 0.01
PAIRS = 100  # nodes up to which pairs are tried


@dataclass(frozen=True)
class Gap:
    """``F(x) - sum of the map``, against the bias ledger.

    Parameters
    ----------
    value : float
    b : float
        All of it.
    bound : float
        What rounding allows.
    shares : tuple of (node, share of b)
        Largest first.
    nodes : tuple of str, or None
        Nodes whose shares add up to the gap; empty if there is no gap, None if no set of nodes that
        was tried does.
    missing : float
        Gap less the shares of these nodes, or less b.
    how : str
        In words.
    """

    value: float
    b: float
    bound: float
    shares: tuple[tuple[str, float], ...]
    nodes: tuple[str, ...] | None
    missing: float
    how: str


def explain_gap(
    value: float, bound: float, nodes: Sequence[str], shares: Array, kinds: Sequence[str]
) -> Gap:
    """Find nodes whose biases add up to a gap.

    Tried in this order: all, single ones, kinds, all but one, all but a kind, the first or last
    so many in the order of the ledger, pairs and all but pairs. Of the sets that meet the gap
    within the bound the one is taken that so many tries would be the least likely to meet so
    closely by accident; none where that has a chance of over 1 %.

    Parameters
    ----------
    value : float
        ``F(x) - sum of the map``.
    bound : float
    nodes, kinds : sequence of str (n)
    shares : array (n,)
    """
    order = np.argsort(-np.abs(shares), kind="stable")
    ranked = tuple((nodes[i], float(shares[i])) for i in order)
    b, size = float(shares.sum()), float(np.sqrt((shares**2).mean())) if len(shares) else 0.0
    if abs(value) <= bound:
        return Gap(value, b, bound, ranked, (), value, "nothing is left out")
    least, found, tried = CHANCE, None, 0
    for group in _sets(shares, kinds):
        tried += len(group)
        for how, members in group:
            missing = value - float(shares[list(members)].sum())
            # The sums of other sets lie about as far apart as shares are large.
            chance = tried * 2 * abs(missing) / size if size else 1.0
            if abs(missing) <= bound and (tried == 1 or chance < least):
                least, found = min(chance, least), (how, members, missing)
    if found is None:
        how = "no set of node biases adds up to it: the map differs from W x itself"
        return Gap(value, b, bound, ranked, None, value - b, how)
    how, members, missing = found
    return Gap(value, b, bound, ranked, tuple(nodes[i] for i in members), missing, how)


Set = tuple[str, tuple[int, ...]]


def _sets(shares: Array, kinds: Sequence[str]) -> Iterator[list[Set]]:
    """Sets of nodes that a method may leave out, in groups, the likelier ones first."""
    (some,) = np.nonzero(shares)
    whole = tuple(int(i) for i in some)
    yield [("all biases are left out", whole)]
    yield [("the bias of one node is left out", (i,)) for i in whole]
    of_kind = {
        kind: tuple(i for i in whole if kinds[i] == kind)
        for kind in dict.fromkeys(kinds[i] for i in whole)
    }
    yield [(f"biases of the kind {k!r} are left out", each) for k, each in of_kind.items()]
    yield [("all biases but that of one node are left out", _but(whole, (i,))) for i in whole]
    yield [
        (f"all biases but those of the kind {kind!r} are left out", _but(whole, each))
        for kind, each in of_kind.items()
    ]
    cuts = [part for n in range(2, len(whole) - 1) for part in (whole[:n], whole[n:])]
    yield [(f"biases of {len(part)} nodes in a row are left out", part) for part in cuts]
    pairs = [*combinations(whole, 2)] if len(whole) <= PAIRS else []
    yield [("the biases of two nodes are left out", pair) for pair in pairs]
    yield [("all biases but those of two nodes are left out", _but(whole, p)) for p in pairs]


def _but(all_of: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(i for i in all_of if i not in out)
