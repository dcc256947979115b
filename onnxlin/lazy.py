"""Names that are there before their module is: public ones (PEP 562), and old paths of modules.

``import onnxlin`` must stay cheap: pytest imports every installed plugin at the start of every run,
and onnxruntime, SciPy and the rules take about a second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec, spec_from_loader
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def lazily(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's ``__getattr__`` and ``__dir__``.

    Parameters
    ----------
    package : str
    homes : {public name: module that makes it}

    Returns
    -------
    What gives the public names and the submodules, and what lists the names.
    """

    def get(name: str) -> Any:
        if name in homes:
            value = getattr(import_module(homes[name]), name)
        elif not name.startswith("_") and find_spec(f"{package}.{name}"):
            value = import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names


# Until the release after the one in which these have moved: CHANGELOG names it.
MOVED = {
    "onnxlin.check": "onnxlin.program.check",
    "onnxlin.compiled": "onnxlin.engines.compiled",
    "onnxlin.layer": "onnxlin.affine_map.layer",
    "onnxlin.one_map": "onnxlin.linearizer",
    "onnxlin.seeds": "onnxlin.engines.seeds",
    "onnxlin.readings.audit_map": "onnxlin.readings.audit.map",
    "onnxlin.readings.compare_flips": "onnxlin.readings.compare.flips",
    "onnxlin.readings.compare_ledger": "onnxlin.readings.compare.ledger",
    "onnxlin.readings.compare_names": "onnxlin.readings.compare.names",
    "onnxlin.readings.compare_nodes": "onnxlin.readings.compare.nodes",
    "onnxlin.readings.compare_rows": "onnxlin.readings.compare.rows",
    "onnxlin.readings.judging_features": "onnxlin.readings.judging.features",
    "onnxlin.readings.kinds": "onnxlin.readings.bias.kinds",
    "onnxlin.readings.path_changes": "onnxlin.readings.path.changes",
    "onnxlin.testing.inputs": "onnxlin.testing.draw.inputs",
}
"""Documented module that moved -> where it is now."""


class MovedModules:
    """Makes the old path of a moved module a view of the new one, with a warning.

    Asked last, for what no other finder has found: no other import is slower for it. A finder and a
    loader without their base classes, whose module takes longer to import than all of onnxlin.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Answer for the old paths alone."""
        # Type checkers still ask a loader for load_module, which Python has not called since 3.4.
        return spec_from_loader(name, self) if name in MOVED else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Let the import system make an empty module."""

    def exec_module(self, module: ModuleType) -> None:
        """Hand every name on from the new place."""
        import warnings  # noqa: PLC0415  # for those alone who need it: onnxlin is imported fast

        new = MOVED[module.__name__]
        warnings.warn(
            f"{module.__name__} is {new} now; the old path goes with the next release.",
            DeprecationWarning,
            stacklevel=2,
        )
        found = import_module(new)
        module.__doc__ = found.__doc__
        vars(module)["__getattr__"] = lambda name: getattr(found, name)
