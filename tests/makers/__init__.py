"""One maker an operator; importing this package fills the table `tests.grow.MAKERS`."""

from tests.makers import arithmetic, layout, pointwise, reduce, resize, weights, windows

__all__ = ["arithmetic", "layout", "pointwise", "reduce", "resize", "weights", "windows"]
