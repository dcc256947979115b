"""What a person reads off a map."""

from onnxlin.readings.compare import Comparison, compare
from onnxlin.readings.contributions import (
    Contributions,
    Relative,
    contributions,
    margin,
    mean,
    relative,
)
from onnxlin.readings.dot import to_dot
from onnxlin.readings.ensemble import Ensemble
from onnxlin.readings.evaluate import Evaluation, evaluate
from onnxlin.readings.grouping import group
from onnxlin.readings.groups import Groups, LocalModel
from onnxlin.readings.layers import LiveUnits, between, layer, live_units
from onnxlin.readings.ledger import BiasMap, Ledger, bias_maps, ledger
from onnxlin.readings.path import walk
from onnxlin.readings.plane import partition
from onnxlin.readings.region import Region, drift
from onnxlin.readings.reporting import report
from onnxlin.readings.scores import Scores
from onnxlin.readings.shap import explanation
from onnxlin.readings.singular import Norms, Spectrum, norms, spectrum
from onnxlin.readings.spread import Spread, spread_bias
from onnxlin.readings.structural import StructuralZero, structural_zero

__all__ = [
    "BiasMap",
    "Comparison",
    "Contributions",
    "Ensemble",
    "Evaluation",
    "Groups",
    "Ledger",
    "LiveUnits",
    "LocalModel",
    "Norms",
    "Region",
    "Relative",
    "Scores",
    "Spectrum",
    "Spread",
    "StructuralZero",
    "between",
    "bias_maps",
    "compare",
    "contributions",
    "drift",
    "evaluate",
    "explanation",
    "group",
    "layer",
    "ledger",
    "live_units",
    "margin",
    "mean",
    "norms",
    "partition",
    "relative",
    "report",
    "spectrum",
    "spread_bias",
    "structural_zero",
    "to_dot",
    "walk",
]
