"""Names of the columns and rows of W, as the model's metadata have them, or made up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from onnxlin.engines.seeds import Seeds
from onnxlin.graph import Graph
from onnxlin.graph.told import CLASSES, FEATURES, metadata_of, named_in
from onnxlin.primitives import Shape


@dataclass(frozen=True)
class Names:
    """What a model's metadata call its features and classes.

    Parameters
    ----------
    features, classes : tuple of str
        As they stand there: they count where there are as many as columns of W, or as outputs.
    """

    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, graph: Graph) -> Names:
        """Read the metadata entries "features" and "classes"."""
        told = metadata_of(graph.model)
        return cls(named_in(told, FEATURES), named_in(told, CLASSES))

    def columns(self, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        """Name the columns of W: features, else inputs of one entry, else places in inputs."""
        made = sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes.values())
        known = len(shapes) == 1 and made == len(self.features)
        return self.features if known else tuple(_placed(shapes))

    def of_rows(self, rows: Seeds) -> tuple[str, ...]:
        """Name the rows of W: classes, else indices of outputs, else which combination it is."""
        if rows.index is None:
            return tuple(f"combination {i}" for i in range(len(rows)))
        known = len(self.classes) == rows.size
        return tuple(self.classes[i] if known else str(int(i)) for i in rows.index)


NAMELESS = Names()


def _placed(shapes: Mapping[str, Shape]) -> Iterator[str]:
    for name, shape in shapes.items():
        if int(np.prod(shape, dtype=np.int64)) == 1:
            yield name
        else:
            yield from (f"{name}[{','.join(map(str, at))}]" for at in np.ndindex(*shape))
