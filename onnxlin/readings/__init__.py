"""What a person reads off a map."""

from onnxlin.readings.contributions import (
    Contributions,
    Relative,
    contributions,
    margin,
    mean,
    relative,
)
from onnxlin.readings.evaluate import Evaluation, evaluate
from onnxlin.readings.layers import LiveUnits, between, layer, live_units
from onnxlin.readings.ledger import BiasMap, Ledger, bias_maps, ledger
from onnxlin.readings.singular import Norms, Spectrum, norms, spectrum
from onnxlin.readings.spread import Spread, spread_bias
from onnxlin.readings.structural import StructuralZero, structural_zero

__all__ = [
    "BiasMap",
    "Contributions",
    "Evaluation",
    "Ledger",
    "LiveUnits",
    "Norms",
    "Relative",
    "Spectrum",
    "Spread",
    "StructuralZero",
    "between",
    "bias_maps",
    "contributions",
    "evaluate",
    "layer",
    "ledger",
    "live_units",
    "margin",
    "mean",
    "norms",
    "relative",
    "spectrum",
    "spread_bias",
    "structural_zero",
]
