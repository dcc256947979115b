"""The laws that the map of any model obeys at any x."""

from onnxlin.testing.laws.law import Law
from onnxlin.testing.laws.laws import LAWS

__all__ = ["LAWS", "Law"]
