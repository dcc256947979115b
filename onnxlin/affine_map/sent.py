"""A map on its way to another process, or copied: what travels, and what is made anew there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

from onnxlin.affine_map.origin import Origin
from onnxlin.affine_map.proved import Proved
from onnxlin.engines.job import Solution
from onnxlin.primitives import Array

_GIVEN = ("inputs", "outputs", "rows", "mode", "rounding", "engine", "plan", "dtype", "notes",
          "names")  # fmt: skip
# What maps at two inputs do not share; all else follows from the question.
_APART = frozenset({"inputs", "outputs", "_solution", "_origin", "_anew", "_own"})
_SHARED = frozenset({"_origin", "_anew", "_own", "_made_bounds", "layers"})


class Sent(Proved):
    """Part of `AffineMap`: how it is pickled and copied.

    Parameters
    ----------
    bound, own
        See `Proved`.
    anew : callable, optional
        Makes what the map was made from again, in another process.
    """

    def __init__(
        self,
        bound: Array | None,
        own: Callable[[], Mapping[str, Array]] | None,
        anew: Callable[[], Origin] | None,
    ) -> None:
        super().__init__(bound, own)
        self._anew = anew
        if anew is not None:
            self._bound_of_composing = None  # which follows from the program

    @cached_property
    def _solution(self) -> Solution:
        raise NotImplementedError  # `AffineMap` has it

    def hold(self) -> None:
        """Compute W, if need be, and copy it and F(x) out of the memory of the session they are of.

        What onnxruntime hands out keeps all of that memory, also once the session is closed.
        """
        found = self._solution
        vars(self)["_solution"] = replace(found, W=found.W.copy())
        self.outputs: dict[str, Array] = {n: y.copy() for n, y in self.outputs.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the map with W computed, and the model behind it, to make the program anew from.

        In another process the program is built when somebody asks for it: the model is opened
        and run there. Without what it takes to do so: `without_program`.
        """
        return _revived, (type(self), self._parts() | {"origin": self._anew})

    def without_program(self) -> Self:
        """Return the map as its file would hold it: W, b, x, F(x), and its bound if it is known.

        It is small to send to another process, where the whole map takes its model along.
        """
        kind: Any = type(self)
        made: Self = kind(**self._parts() | {"own": self.own_run(now=True)}, origin=None)
        return made

    def _parts(self) -> dict[str, Any]:
        """What the map is made of, but for what its program is made of."""
        found = {name: getattr(self, name) for name in _GIVEN}
        own = self.own_run(now=self._anew is None)
        return found | {"solution": self._solution, "bound": self.known_bound, "own": own}

    def pattern(self) -> Mapping[str, Any]:
        """What a map that has just been made has in common with those of the same question."""
        return {name: value for name, value in vars(self).items() if name not in _APART}

    @classmethod
    def of_pattern(
        cls,
        pattern: Mapping[str, Any],
        ends: tuple[dict[str, Array], dict[str, Array]],
        solution: Solution,
        anew: Callable[[], Origin],
        own: Callable[[], Mapping[str, Array]],
    ) -> Self:
        """Make the map at another x: its ends, W and b, and what it was made from."""
        made = object.__new__(cls)
        made.__dict__ = {
            **pattern,
            "inputs": ends[0],
            "outputs": ends[1],
            "_solution": solution,
            "_origin": anew,
            "_anew": anew,
            "_own": own,
        }
        return made

    def __copy__(self) -> Self:
        made = object.__new__(type(self))
        vars(made).update(vars(self))
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy W, b and all other arrays; what they are made from is shared: nobody changes it."""
        made = copy(self)
        own = {name: value for name, value in vars(self).items() if name not in _SHARED}
        vars(made).update(deepcopy(own, memo))
        return made


def _revived(kind: type[Any], parts: Mapping[str, Any]) -> Any:
    """Make a map again that has been pickled."""
    return kind(**parts)
