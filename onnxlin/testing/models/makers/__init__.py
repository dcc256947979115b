"""One maker an operator; importing this package fills `onnxlin.testing.models.MAKERS`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

__all__ = [found.name for found in iter_modules(__path__)]

for _name in __all__:
    import_module(f"{__name__}.{_name}")
