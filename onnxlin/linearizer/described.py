"""What a linearizer says of itself: the model, how it is read, and by which means."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from onnxlin.graph import Graph
from onnxlin.linearizer.named import digest_of, means_of
from onnxlin.linearizer.ready import Ready
from onnxlin.program.builder import Builder
from onnxlin.section import Section
from onnxlin.section.gates import Gates


class Described:
    """A model that is ready, as it was asked for."""

    _ready: Ready

    @property
    def graph(self) -> Graph:
        """The model, every node in the newest form of its operator."""
        return self.section.graph

    @property
    def section(self) -> Section:
        """The part of it that is linearised."""
        return self._ready.section

    @property
    def mode(self) -> str:
        """The reading of smooth operators."""
        return self._ready.mode

    @property
    def rounding(self) -> str:
        """The reading of rounding."""
        return self.section.rounding

    @property
    def gates(self) -> Gates:
        """The reading of gated products."""
        return self.section.gates

    @property
    def memory(self) -> int | str | None:
        """What was given for it."""
        return self._ready.memory

    @property
    def threads(self) -> int | None:
        """What was given for them."""
        return self._ready.threads

    @property
    def providers(self) -> list[tuple[str, dict[str, str]]] | None:
        """What was given for them, with the options that are set where nobody says otherwise."""
        found = self._ready.providers
        return found.given if found.pairs else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What its maps say of how the model is read and run."""
        return self._ready.notes()

    @cached_property
    def digest(self) -> str:
        """Name of the model, of its ends and of how they are read, by their contents.

        The same in every process, for a file, its bytes and a copy of it: a key for caches. What
        shows in last bits alone is no part of it: see `means`.
        """
        return digest_of(self._ready)

    @property
    def means(self) -> dict[str, Any]:
        """What shows in last bits: memory, threads, session options taken apart, providers."""
        return means_of(self._ready)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """What dask names tasks by."""
        return "onnxlin.Linearizer", self.digest, repr(self.means)

    @property
    def decider(self) -> Builder:
        """Builder of programs that hold every decision; see `onnxlin.section.Section`."""
        return self._ready.decider
