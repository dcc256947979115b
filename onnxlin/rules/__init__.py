"""Rules: one node at x -> its affine piece. Importing this package registers all of them."""

from importlib import import_module
from pkgutil import iter_modules

from onnxlin.rules.affine import Affine, Body
from onnxlin.rules.at_x import NodeAtX, Operand
from onnxlin.rules.registry import RULES, STRAIGHT, Rule, rule, rule_of

# A folder holds the rules of a family; what the rules share lies beside the folders.
for _family in (found for found in iter_modules(__path__, f"{__name__}.") if found.ispkg):
    for _module in iter_modules(import_module(_family.name).__path__, f"{_family.name}."):
        import_module(_module.name)

# Last, for the operators that no module has a rule of its own for.
import_module(f"{__name__}.bodies.schema").register_schema_bodies()
import_module(f"{__name__}.quantised.fractions").register_rounded()

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
