"""One token's operator: the block of W from its vector to a hidden one, and what it reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.operators.lookups import indices_of
from onnxlin.primitives import MatMul
from onnxlin.program.rates import gamma
from onnxlin.readings.checks import UNIT, require_equal
from onnxlin.section.options import whole


@dataclass(frozen=True, eq=False)
class TokenOperator:
    """The block W_t of a map that one token's vector goes through, by its singular values.

    ``W_t = left @ diag(values) @ right.T``, all in float64.

    Parameters
    ----------
    token : int
        Position of the token.
    x : array (width,)
        Its vector.
    values : array (r,)
        Largest first; r is the smaller side of the block.
    left : array (K, r)
        Directions of what the map ends with, of length 1.
    right : array (width, r)
        Directions of the token's vector, of length 1. Of the two signs that a pair may have it has
        the one with which ``right.T @ x`` is not negative: x adds along ``left``, never against it.
    """

    token: int
    x: Array
    values: Array
    left: Array
    right: Array

    @property
    def contribution(self) -> Array:
        """``W_t x_t``: what the token brings to what the map ends with, ``(K,)``."""
        found: Array = self.left @ self.along
        return found

    @cached_property
    def along(self) -> Array:
        """How far ``W_t x_t`` goes along each direction of ``left``, ``(r,)``: not negative."""
        found: Array = self.values * (self.right.T @ self.x)
        return found

    @property
    def stable_rank(self) -> float:
        """``|W_t|_F^2 / |W_t|_2^2``: directions that the block has, weighed; or 0."""
        largest = float(self.values[:1].sum())
        return float((self.values**2).sum()) / largest**2 if largest else 0.0

    def low_rank_error(self, rank: int) -> float:
        """What the ``rank`` largest values leave out of W_t, in its Frobenius norm: 0 to 1.

        No other matrix of that rank leaves less (Eckart and Young, 1936).
        """
        return _left_out(self.values, rank)

    def low_rank_miss(self, rank: int) -> float:
        """What they leave out of ``W_t x_t``, in its length: 0 to 1."""
        return _left_out(self.along, rank)


def _left_out(values: Array, rank: int) -> float:
    size = float(np.linalg.norm(values))
    return float(np.linalg.norm(values[whole("rank", rank) :])) / size if size else 0.0


def token_operators(
    m: AffineMap, tokens: Iterable[int] | int | None = None, *, tensor: str | None = None
) -> list[TokenOperator]:
    """Take a map apart into one operator a token, each with its singular values and vectors.

    Parameters
    ----------
    m : AffineMap
        From token vectors to a hidden vector: ``outputs=`` names a hidden tensor, or the one before
        the output embedding (`output_embedding`), and ``rows=`` the entries of one position.
    tokens : positions, optional
        From the end if negative; by default all.
    tensor : str, optional
        The input of the map, where there are several.

    Returns
    -------
    list of TokenOperator
        By LAPACK on the blocks of W in float64. Exact at x, in the reading of the map, as W is.

    Raises
    ------
    OptionError
        There is no such input or token, or the input has no tokens.
    ResidualError
        A block is not what its singular values make of it, or the blocks do not add up to W x.

    Source: the detached Jacobian of each token, Golden, Equivalent Linear Mappings of Large
    Language Models, TMLR 2025.
    """
    name = _input(m, tensor)
    shape = m.inputs[name].shape
    count, width = prod(shape[:-1]), shape[-1]
    given = range(count) if tokens is None else [tokens] if isinstance(tokens, int) else tokens
    own = [whole("tokens", token, -count) for token in given]
    if any(token >= count for token in own):
        raise OptionError(f"tokens={own}: input {name!r} has {count} tokens, 0 to {count - 1}.")
    start, vectors = m.columns_of[name].start, m.inputs[name].reshape(count, width)
    return [
        _operator(m, token % count, start + token % count * width, vectors[token % count])
        for token in own
    ]


def _input(m: AffineMap, tensor: str | None) -> str:
    names = [name for name, value in m.inputs.items() if value.ndim > 1]
    if isinstance(tensor, str) and tensor in names:
        return tensor
    if tensor is None and len(names) == 1:
        return names[0]
    raise OptionError(
        f"tensor={tensor!r}: the map starts at {list(m.inputs)}, of which {names} have vectors. "
        "Name one of these."
    )


def _operator(m: AffineMap, token: int, start: int, vector: Array) -> TokenOperator:
    x = vector.astype(np.float64)
    block = m.W[:, start : start + len(x)].astype(np.float64)
    left, values, turned = np.linalg.svd(block, full_matrices=False)
    signs = np.where(turned @ x < 0, -1.0, 1.0)
    found = TokenOperator(token, x, values, left * signs, turned.T * signs)
    limit = gamma(10 * max(block.shape), UNIT) * np.linalg.norm(block) * np.linalg.norm(x)
    what = f"W_t x_t of token {token} by its singular values"
    require_equal(what, found.contribution, block @ x, np.full(len(block), limit))
    return found


@dataclass(frozen=True, eq=False)
class Embedding:
    """A table with a vector for every token of a vocabulary.

    Parameters
    ----------
    tensor : str
        The tensor that the table reads, or makes.
    table : array (tokens, width)
    """

    tensor: str
    table: Array

    def nearest(self, direction: npt.ArrayLike, count: int = 5) -> tuple[Array, Array]:
        """Tokens whose vectors go furthest along a direction, and how far: ``(count,)`` each.

        Of an output embedding these are the scores that the direction adds to.
        """
        scores = self.table @ np.asarray(direction, np.float64)
        order = np.argsort(-scores, kind="stable")[: whole("count", count)]
        return order, scores[order]


def output_embedding(m: AffineMap) -> Embedding:
    """Find the last product with weights before the outputs of a map: the output embedding.

    Its ``tensor`` is what the scores are made of, such as the last norm: ``outputs=`` of a map that
    ends there, whose directions the table decodes.

    Raises
    ------
    OptionError
        The outputs are not made by one such product.
    DetachedError
    """
    program = m.made_from("output_embedding()").program
    made, names = {step.output: step for step in program.steps}, list(program.outputs)
    name = names[0] if len(names) == 1 else ""
    while name in made and len(made[name].terms) == 1:
        name, op = made[name].terms[0]
        if isinstance(op, MatMul):
            if op.matrix.ndim == 2 and not op.left:
                return Embedding(name, op.matrix.T.astype(np.float64))
            break
    raise OptionError(
        f"Outputs {names} are not made of one tensor by one product with weights and what follows "
        "entry by entry, so there is no output embedding. Choose other outputs=."
    )


def input_embedding(lin: Linearizer, tensor: str | None = None) -> Embedding:
    """Find the table in which the token vectors are looked up that a map starts at.

    Parameters
    ----------
    lin : Linearizer
    tensor : str, optional
        An input of the map; by default the only one.

    Raises
    ------
    OptionError
        It is not looked up in one table that the file holds as it is.
    """
    names, graph = lin.section.inputs, lin.graph
    name = names[0] if tensor is None and len(names) == 1 else str(tensor)
    node = graph.producer.get(name) if name in names else None
    if node is not None and (index := indices_of(node)) is not None:
        held = [graph.initialisers.get(read) for read in node.reads if read != index]
        if len(held) == 1 and held[0] is not None and held[0].ndim == 2:
            return Embedding(name, held[0].astype(np.float64))
    raise OptionError(
        f"{name!r} of {list(names)} is not looked up in one table that the file holds."
    )
