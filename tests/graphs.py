"""Which operators of random models are piecewise affine."""

from __future__ import annotations

from onnxlin.rules import RULES
from onnxlin.testing.models import MAKERS

# Piecewise affine, or locally constant: of these equal patterns mean equal maps. Products count
# as smooth, so they are left out although they are exact where one side is constant.
# With reduction="mul" these are products, opened into nodes that are smooth.
SOMETIMES_SMOOTH = {"ScatterElements", "ScatterND"}
EXACT = [
    op_type
    for op_type in MAKERS
    if RULES["", op_type].status in ("exact", "constant") and op_type not in SOMETIMES_SMOOTH
]
