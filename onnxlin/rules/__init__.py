"""Rules: one node at x -> its affine piece. Importing this package registers all of them."""

from importlib import import_module
from pkgutil import iter_modules

from onnxlin.rules.affine import Affine, Body
from onnxlin.rules.at_x import NodeAtX, Operand
from onnxlin.rules.registry import RULES, STRAIGHT, Rule, rule, rule_of

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

# Last, for the operators that no module has a rule of its own for.
import_module(f"{__name__}.bodies").register_schema_bodies()

__all__ = [
    "RULES",
    "STRAIGHT",
    "Affine",
    "Body",
    "NodeAtX",
    "Operand",
    "Rule",
    "rule",
    "rule_of",
]
