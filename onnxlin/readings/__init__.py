"""What a person reads off a map."""

from onnxlin.readings.attributions import (
    Attribution,
    gradient,
    gradient_times_input,
    smooth_grad,
)
from onnxlin.readings.attributions_all import baselines
from onnxlin.readings.attributions_full import full_grad, full_gradient
from onnxlin.readings.attributions_occlusion import occlusion
from onnxlin.readings.attributions_path import integrated_gradients, sampled_gradients
from onnxlin.readings.audit import Audit, audit
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
from onnxlin.readings.judging import Judgement, judge
from onnxlin.readings.judging_curves import deletion, insertion, pixel_flipping
from onnxlin.readings.judging_fidelity import infidelity, noisy_infidelity, sensitivity_n
from onnxlin.readings.judging_removals import removals
from onnxlin.readings.judging_stability import Stability, max_sensitivity, stability
from onnxlin.readings.layers import LiveUnits, between, layer, live_units
from onnxlin.readings.ledger import BiasMap, Ledger, bias_maps, ledger
from onnxlin.readings.path import walk
from onnxlin.readings.plane import partition
from onnxlin.readings.question import Question
from onnxlin.readings.region import Region, drift
from onnxlin.readings.reporting import report
from onnxlin.readings.scores import Scores
from onnxlin.readings.shap import explanation
from onnxlin.readings.singular import Norms, Spectrum, norms, spectrum
from onnxlin.readings.spread import Spread, spread_bias
from onnxlin.readings.structural import StructuralZero, structural_zero

__all__ = [
    "Attribution",
    "Audit",
    "BiasMap",
    "Comparison",
    "Contributions",
    "Ensemble",
    "Evaluation",
    "Groups",
    "Judgement",
    "Ledger",
    "LiveUnits",
    "LocalModel",
    "Norms",
    "Question",
    "Region",
    "Relative",
    "Scores",
    "Spectrum",
    "Spread",
    "Stability",
    "StructuralZero",
    "audit",
    "baselines",
    "between",
    "bias_maps",
    "compare",
    "contributions",
    "deletion",
    "drift",
    "evaluate",
    "explanation",
    "full_grad",
    "full_gradient",
    "gradient",
    "gradient_times_input",
    "group",
    "infidelity",
    "insertion",
    "integrated_gradients",
    "judge",
    "layer",
    "ledger",
    "live_units",
    "margin",
    "max_sensitivity",
    "mean",
    "noisy_infidelity",
    "norms",
    "occlusion",
    "partition",
    "pixel_flipping",
    "relative",
    "removals",
    "report",
    "sampled_gradients",
    "sensitivity_n",
    "smooth_grad",
    "spectrum",
    "spread_bias",
    "stability",
    "structural_zero",
    "to_dot",
    "walk",
]
